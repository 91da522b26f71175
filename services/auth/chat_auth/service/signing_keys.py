"""The key ring: signs access tokens, publishes the keys to check them with, replaces old keys by new ones."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
import orjson
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import DecryptionFailed, MasterKeys
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.tokens import ALGORITHM, TOKEN_TYPE
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chat_auth.audit import audit
from chat_auth.domain.signing_keys import (
    PUBLISH_LEAD,
    SigningKey,
    current_key,
    needs_successor,
    retired_keys,
)
from chat_auth.store import SigningKeyStore, StoredKey

log = get_logger(__name__)

RELOAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How long keys and the tokens they sign live."""

    max_age: timedelta
    token_life: timedelta


class KeyRing:
    """The signing keys, kept in memory and in step with the store by every process."""

    def __init__(self, store: SigningKeyStore, master_keys: MasterKeys, policy: KeyPolicy) -> None:
        self._store = store
        self._master_keys = master_keys
        self._policy = policy
        self._keys: list[SigningKey] = []
        self._private_keys: dict[str, Ed25519PrivateKey] = {}
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Keep in step with the store, and replace keys when they are old."""
        self._tasks.spawn(
            run_forever(self.renew, name="signing-keys", pause=RELOAD_SECONDS), name="signing-keys"
        )

    async def stop(self) -> None:
        """Stop renewing."""
        await self._tasks.cancel()

    async def renew(self) -> None:
        """Load the keys, publish the next one where it is time, and delete those that are over."""
        now = utc_now()
        await self._load()
        usable = self._usable()
        if current_key(usable, now) is None:
            await self._add_key(active_from=now)
        elif needs_successor(usable, now, self._policy.max_age):
            await self._add_key(active_from=now + PUBLISH_LEAD)
        over = [key.id for key in retired_keys(self._keys, now, self._policy.token_life)]
        if over:
            await self._store.remove(over)
            await self._load()

    async def rotate(self) -> None:
        """Publish a new key now; it signs in ten minutes, when every verifier knows it."""
        await self._load()
        await self._add_key(active_from=utc_now() + PUBLISH_LEAD)

    async def opens(self) -> bool:
        """Tell whether the master keys open a stored key."""
        await self._load()
        return bool(self._private_keys)

    @property
    def is_empty(self) -> bool:
        """Whether no key was stored when it looked last."""
        return not self._keys

    def sign(self, claims: dict[str, Any]) -> str:
        """Return an access token with these claims, signed by the current key."""
        key = current_key(self._usable(), utc_now())
        if key is None:
            raise RuntimeError("the key ring signs only after its first renewal")
        headers = {"kid": key.id, "typ": TOKEN_TYPE}
        return jwt.encode(claims, self._private_keys[key.id], algorithm=ALGORITHM, headers=headers)

    def public_document(self) -> bytes:
        """Return the JSON Web Key Set (RFC 7517, RFC 8037) of all keys whose tokens may be met."""
        return orjson.dumps({"keys": [_to_jwk(key) for key in self._keys]})

    def _usable(self) -> list[SigningKey]:
        return [key for key in self._keys if key.id in self._private_keys]

    async def _load(self) -> None:
        stored_keys = await self._store.load()
        private_keys = {}
        for stored in stored_keys:
            private_key = self._open(stored)
            if private_key is not None:
                private_keys[stored.key.id] = private_key
        self._keys, self._private_keys = [stored.key for stored in stored_keys], private_keys

    def _open(self, stored: StoredKey) -> Ed25519PrivateKey | None:
        known = self._private_keys.get(stored.key.id)
        if known is not None:
            return known
        try:
            raw = self._master_keys.unwrap(stored.private_key, _place(stored.key.id))
        except DecryptionFailed as error:
            log.warning("a signing key can no longer sign", key_id=stored.key.id, reason=str(error))
            return None
        return Ed25519PrivateKey.from_private_bytes(raw)

    async def _add_key(self, active_from: datetime) -> None:
        """Add a key of the next generation; where another process was faster, take its key."""
        private_key = Ed25519PrivateKey.generate()
        key = SigningKey(
            id=secrets.token_hex(8),
            generation=max((key.generation for key in self._keys), default=0) + 1,
            public_key=private_key.public_key().public_bytes_raw(),
            active_from=active_from,
        )
        sealed = self._master_keys.wrap(private_key.private_bytes_raw(), _place(key.id))
        if await self._store.add(StoredKey(key, sealed)):
            audit("signing_key_made", key_id=key.id, generation=key.generation)
        await self._load()


def _place(key_id: str) -> bytes:
    return b"signing-key:" + key_id.encode()


def _to_jwk(key: SigningKey) -> dict[str, str]:
    x = base64.urlsafe_b64encode(key.public_key).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": key.id, "x": x}
