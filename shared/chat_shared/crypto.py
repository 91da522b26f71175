"""Envelope encryption: short keys wrapped by a master key that never leaves the settings.

AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D §8.2.2); the additional data binds a
ciphertext to its place, so that a row copied elsewhere does not open.
"""

import base64
import os
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class DecryptionFailed(Exception):
    """The ciphertext, its key or its place is not what it was sealed with."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext with what is needed, beside the key and the place, to open it."""

    key_id: str
    nonce: bytes
    ciphertext: bytes

    def to_document(self) -> dict[str, str | bytes]:
        """Return the form stored in MongoDB."""
        return {"keyId": self.key_id, "nonce": self.nonce, "ct": self.ciphertext}

    @classmethod
    def from_document(cls, document: dict[str, str | bytes]) -> Self:
        """Read what `to_document` wrote."""
        return cls(str(document["keyId"]), bytes(document["nonce"]), bytes(document["ct"]))  # type: ignore[arg-type]


def seal(key_id: str, key: AESGCM, plaintext: bytes, place: bytes) -> Sealed:
    """Encrypt under `key`, bound to `place` (additional authenticated data)."""
    nonce = os.urandom(NONCE_BYTES)
    return Sealed(key_id, nonce, key.encrypt(nonce, plaintext, place))


def unseal(key: AESGCM, sealed: Sealed, place: bytes) -> bytes:
    """Decrypt what `seal` made for the same `place`.

    Raises:
        DecryptionFailed: for another key or place, or a changed ciphertext.
    """
    try:
        return key.decrypt(sealed.nonce, sealed.ciphertext, place)
    except InvalidTag as error:
        raise DecryptionFailed("the ciphertext does not open here") from error


class MasterKeys:
    """The master keys of one service: the first one wraps, all of them unwrap."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """`keys`: id -> 32 bytes, the active one first."""
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._active = next(iter(self._keys))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `id:urlsafe-base64-of-32-bytes[,id:…]`.

        Raises:
            ValueError: when there is no key, an id is missing or doubled, or a key is not 32 bytes.
        """
        keys: dict[str, bytes] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            key_id, _, encoded = part.partition(":")
            key = _decode_key(encoded)
            if not key_id or key_id in keys or len(key) != KEY_BYTES:
                raise ValueError("a master key is written id:base64-of-32-bytes, each id once")
            keys[key_id] = key
        if not keys:
            raise ValueError("at least one master key is needed")
        return cls(keys)

    @property
    def active_id(self) -> str:
        """The id of the key that wraps from now on."""
        return self._active

    def wrap(self, key: bytes, place: bytes) -> Sealed:
        """Encrypt a short key under the active master key, bound to `place`."""
        return seal(self._active, self._keys[self._active], key, place)

    def unwrap(self, sealed: Sealed, place: bytes) -> bytes:
        """Return the key that `wrap` was given.

        Raises:
            DecryptionFailed: when its master key is not in the settings any more, or the place differs.
        """
        master = self._keys.get(sealed.key_id)
        if master is None:
            raise DecryptionFailed(f"master key {sealed.key_id} is not configured")
        return unseal(master, sealed, place)


def _decode_key(encoded: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        return b""  # of the wrong length, like any other malformed key
