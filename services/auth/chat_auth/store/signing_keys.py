"""The collection `signing_keys`: one document a key, its private part sealed by a master key."""

from collections.abc import Sequence
from dataclasses import dataclass

from chat_shared.contracts.base import utc_now
from chat_shared.crypto import Sealed
from chat_shared.mongo import Document, Mongo
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from chat_auth.domain.signing_keys import SigningKey


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key with its sealed private part."""

    key: SigningKey
    private_key: Sealed


class SigningKeyStore:
    """Signing keys, at most one of each generation."""

    def __init__(self, mongo: Mongo) -> None:
        self._keys = mongo.collection("signing_keys")
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self._keys.create_index([("generation", ASCENDING)], unique=True)

    async def load(self) -> list[StoredKey]:
        """Return all keys, the oldest first."""
        return [_stored_key(document) async for document in self._keys.find().sort("generation", ASCENDING)]

    async def add(self, stored: StoredKey) -> bool:
        """Store a new key; tell whether it is the one of its generation, made before any other process's."""
        try:
            await self._keys.insert_one(
                {
                    "_id": stored.key.id,
                    "generation": stored.key.generation,
                    "publicKey": stored.key.public_key,
                    "privateKey": stored.private_key.to_document(),
                    "activeFrom": stored.key.active_from,
                    "createdAt": utc_now(),
                }
            )
        except DuplicateKeyError:
            return False
        return True

    async def remove(self, key_ids: Sequence[str]) -> None:
        """Delete keys for good."""
        await self._keys.delete_many({"_id": {"$in": list(key_ids)}})


def _stored_key(document: Document) -> StoredKey:
    key = SigningKey(
        id=document["_id"],
        generation=document["generation"],
        public_key=bytes(document["publicKey"]),
        active_from=document["activeFrom"],
    )
    return StoredKey(key, Sealed.from_document(document["privateKey"]))
