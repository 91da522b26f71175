"""Collection `room_keys`: the wrapped key of each room, and a tombstone for each destroyed one."""

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import Sealed
from chat_shared.mongo import Document, Mongo
from pymongo.errors import DuplicateKeyError


class RoomKeyStore:
    """Wrapped room keys."""

    def __init__(self, mongo: Mongo) -> None:
        self._keys = mongo.collection("room_keys")

    async def find(self, room_id: str) -> Document | None:
        """Return a room's key or tombstone."""
        return await self._keys.find_one({"_id": ObjectId(room_id)})

    async def any(self) -> Document | None:
        """Return the key of some room, None when no room has one."""
        return await self._keys.find_one({"wrapped": {"$exists": True}})

    async def add(self, room_id: str, wrapped: Sealed) -> Document:
        """Store a first key, unless the room has one or had one; return what counts."""
        first = {"wrapped": wrapped.to_document(), "createdAt": utc_now()}
        try:
            await self._keys.insert_one({"_id": ObjectId(room_id), **first})
        except DuplicateKeyError:
            found = await self.find(room_id)
            return found if found is not None else {}
        return first

    async def destroy(self, room_id: str) -> None:
        """Forget a room's key for ever; what was encrypted with it cannot be read any more."""
        await self._keys.update_one(
            {"_id": ObjectId(room_id)},
            {"$unset": {"wrapped": ""}, "$set": {"destroyedAt": utc_now()}},
            upsert=True,
        )
