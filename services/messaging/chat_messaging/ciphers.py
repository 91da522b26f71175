"""How a message is sealed: AES-256-GCM under the key of its room, bound to room, message and sender."""

from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from chat_shared.crypto import KEY_BYTES, Sealed, seal, unseal
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from chat_messaging.domain import Body, MessageKey

VERSION = 1
KEY_ID = "r1"
"""A room has one key; its id stands in every ciphertext so that it could get a second one."""


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The two keys of a room: one seals, one hashes. Both derive from the stored room key (RFC 5869)."""

    sealing: AESGCM
    hashing: bytes

    @classmethod
    def derive(cls, secret: bytes) -> "RoomKey":
        """Return the keys that a room's secret stands for."""
        return cls(AESGCM(_derive(secret, b"chat content")), _derive(secret, b"chat body hash"))

    def seal(self, room_id: str, message_id: ObjectId, key: MessageKey, plaintext: bytes) -> dict[str, Any]:
        """Encrypt a message for its place."""
        sealed = seal(KEY_ID, self.sealing, plaintext, _place(room_id, message_id, key.sender_id))
        return {"v": VERSION, **sealed.to_document()}

    def open(self, room_id: str, message_id: ObjectId, sender_id: str, cipher: dict[str, Any]) -> Body:
        """Decrypt a message.

        Raises:
            DecryptionFailed: it was not sealed for this place with this key.
        """
        plaintext = unseal(self.sealing, Sealed.from_document(cipher), _place(room_id, message_id, sender_id))
        return Body.from_bytes(plaintext)

    def hash(self, key: MessageKey, plaintext: bytes) -> bytes:
        """Return a keyed hash that tells whether a repeat says the same.

        The message's own key is part of it, so that equal texts do not show as equal.
        """
        mac = hmac.HMAC(self.hashing, hashes.SHA256())
        mac.update(f"{key.sender_id}|{key.client_message_id}|".encode())
        mac.update(plaintext)
        return mac.finalize()


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret)


def _place(room_id: str, message_id: ObjectId, sender_id: str) -> bytes:
    return f"{room_id}|{message_id}|{sender_id}|{KEY_ID}".encode()
