"""Rooms that are gone while memberships of theirs are still stored."""

from bson import ObjectId

from chat_rooms.store.collections import Collections

BATCH = 1000


class DeletedRooms:
    """The rest of the work of deleting large rooms; each step may be repeated at will."""

    def __init__(self, collections: Collections) -> None:
        self._rooms = collections.deleted_rooms
        self._memberships = collections.memberships

    async def next(self) -> str | None:
        """Return the id of a room that was not cleared yet."""
        document = await self._rooms.find_one({}, {"_id": True})
        return None if document is None else str(document["_id"])

    async def clear(self, room_id: str) -> None:
        """Remove the memberships of a deleted room, some at a time, and then the note that there are any."""
        query = {"roomId": ObjectId(room_id)}
        while batch := await self._memberships.find(query, {"_id": True}).limit(BATCH).to_list():
            await self._memberships.delete_many({"_id": {"$in": [document["_id"] for document in batch]}})
        await self._rooms.delete_one({"_id": ObjectId(room_id)})
