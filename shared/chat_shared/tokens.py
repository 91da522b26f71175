"""Access tokens: who the bearer is. EdDSA only, keys only from our own JWKS (RFC 8725, RFC 9068)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt
import orjson

from chat_shared.errors import ChatError, Unauthenticated
from chat_shared.logging import get_logger

log = get_logger(__name__)

ALGORITHM = "EdDSA"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068 §2.1, not a password
LEEWAY_SECONDS = 30
REFETCH_SECONDS = 30
REFRESH_SECONDS = 300
MAX_TOKEN_LENGTH = 4096
MAX_KEY_ID_LENGTH = 64
MAX_VERIFIED = 10_000
"""Tokens whose signature need not be checked again; a few hundred bytes each."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: a user, in one of their sessions."""

    user_id: str
    session_id: str
    expires_at: int
    """Seconds since the epoch at which the token ends."""


class KeySet:
    """The public keys of auth, cached; an unknown key id asks auth at most every 30 seconds."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        """`fetch` returns the JWKS document of auth."""
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> jwt.PyJWK:
        """Return the key with this id.

        Raises:
            Unauthenticated: when auth has no such key.
            ChatError: when no key was ever fetched and auth is away.
        """
        now = time.monotonic()
        stale = now - self._fetched_at > REFRESH_SECONDS
        if (key_id not in self._keys or stale) and now - self._tried_at >= REFETCH_SECONDS:
            await self._start_refresh(now)
        elif key_id not in self._keys and self._refreshing is not None:
            # Somebody else has asked a moment ago: the answer is for all who wait.
            await asyncio.shield(self._refreshing)
        if key_id not in self._keys:
            raise Unauthenticated
        return self._keys[key_id]

    async def _start_refresh(self, now: float) -> None:
        self._tried_at = now
        # In a context of its own: the answer is for everybody, so no caller's deadline may cut it short.
        self._refreshing = asyncio.create_task(self._refresh(), context=Context())
        self._refreshing.add_done_callback(self._refreshed)
        await asyncio.shield(self._refreshing)

    def _refreshed(self, task: asyncio.Task[None]) -> None:
        if self._refreshing is task:
            self._refreshing = None
        if not task.cancelled():
            task.exception()  # every caller that still waits has raised it

    async def _refresh(self) -> None:
        try:
            document = orjson.loads(await self._fetch())
            self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys if key.key_id}
            self._fetched_at = time.monotonic()
        except (ChatError, jwt.PyJWTError, orjson.JSONDecodeError) as error:
            log.warning("public keys could not be fetched", error=repr(error))
            if not self._keys:
                self._tried_at = float("-inf")
                if isinstance(error, ChatError):
                    raise


class VerifiedTokens:
    """Tokens that were found valid, by their digest: nothing here can be used as one.

    What makes one valid is its signature by a certain key and its times, so it counts only while that very
    key is in use and the token has not expired. Whether its session has ended is asked elsewhere, each time.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[bytes, tuple[str, jwt.PyJWK, Identity]] = OrderedDict()

    def key_id(self, digest: bytes) -> str | None:
        """Return the id of the key that a token was signed with, if it is known here."""
        found = self._found.get(digest)
        return None if found is None else found[0]

    def get(self, digest: bytes, key: jwt.PyJWK) -> Identity | None:
        """Return whose token it is if it is still valid, as far as its key and its times tell."""
        found = self._found.get(digest)
        if found is None:
            return None
        _, signed_with, identity = found
        if signed_with is not key or identity.expires_at <= time.time() - LEEWAY_SECONDS:
            del self._found[digest]
            return None
        self._found.move_to_end(digest)
        return identity

    def add(self, digest: bytes, key_id: str, key: jwt.PyJWK, identity: Identity) -> None:
        """Note a token that was just verified; the one that was not seen for longest may have to go."""
        self._found[digest] = (key_id, key, identity)
        if len(self._found) > MAX_VERIFIED:
            self._found.popitem(last=False)


class TokenVerifier:
    """Checks an access token and says whose it is."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._verified = VerifiedTokens()

    async def verify(self, token: str) -> Identity:
        """Return the identity in a valid token.

        Raises:
            Unauthenticated: for any other token, without saying what is wrong with it.
            ChatError: when auth is away and its keys were never seen (retryable).
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        key_id = self._verified.key_id(digest) or _key_id(token)
        key = await self._keys.key(key_id)
        identity = self._verified.get(digest, key)
        if identity is None:
            identity = self._decode(token, key)
            self._verified.add(digest, key_id, key, identity)
        return identity

    def _decode(self, token: str, key: jwt.PyJWK) -> Identity:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub", "sid"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated from error
        return _identity(claims)


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise Unauthenticated from error
    key_id = header.get("kid")
    expected = header.get("alg") == ALGORITHM and header.get("typ") == TOKEN_TYPE
    if not expected or not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID_LENGTH:
        raise Unauthenticated
    return key_id


def _identity(claims: dict[str, Any]) -> Identity:
    user_id, session_id = claims["sub"], claims["sid"]
    if not isinstance(user_id, str) or not isinstance(session_id, str):
        raise Unauthenticated
    return Identity(user_id, session_id, int(claims["exp"]))
