"""Rooms that were imported, and who was brought into them: once, whatever happened here since."""

from collections.abc import Sequence

from bson import ObjectId
from chat_shared.importing import BROUGHT, GONE, HERE, Outcome
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_rooms.domain import Membership
from chat_rooms.store.collections import Collections, membership_document


class ImportedRooms:
    """What is known of rooms before anything is brought."""

    def __init__(self, collections: Collections) -> None:
        self._rooms = collections.rooms
        self._imported = collections.imported_rooms

    async def fate(self, room_id: str) -> Outcome:
        """Tell whether a room is here, was deleted here after it had been brought, or can be brought."""
        if await self._rooms.find_one({"_id": ObjectId(room_id)}, {"_id": True}):
            return HERE
        note = await self._imported.find_one({"_id": ObjectId(room_id)}, {"_id": True})
        return GONE if note else BROUGHT

    async def brought(self, room_id: str) -> frozenset[str]:
        """Return the users who were brought into a room at some time."""
        note = await self._imported.find_one({"_id": ObjectId(room_id)})
        return frozenset(str(user_id) for user_id in note["members"]) if note else frozenset()


class Entries:
    """Entries of many users into one room, within one transaction."""

    def __init__(self, session: AsyncClientSession, collections: Collections) -> None:
        self._session = session
        self._memberships = collections.memberships
        self._users = collections.users
        self._imported = collections.imported_rooms

    async def was_brought(self, room_id: str) -> bool:
        """Tell whether a room was brought before."""
        note = await self._imported.find_one({"_id": ObjectId(room_id)}, {"_id": True}, session=self._session)
        return note is not None

    async def members_among(self, room_id: str, user_ids: Sequence[str]) -> set[str]:
        """Return those of the users who are members already."""
        query = {"roomId": ObjectId(room_id), "userId": {"$in": [ObjectId(user_id) for user_id in user_ids]}}
        found = self._memberships.find(query, {"userId": True}, session=self._session)
        return {str(row["userId"]) async for row in found}

    async def claim_places(self, user_ids: Sequence[str]) -> dict[str, int | None]:
        """Return in how many rooms each user is, None for one whose account was deleted.

        As `Transaction.claim_place`, for many: their other entries at this moment conflict with these.
        """
        ids = [ObjectId(user_id) for user_id in user_ids]
        await self._users.bulk_write(
            [UpdateOne({"_id": id_}, {"$inc": {"entries": 1}}, upsert=True) for id_ in ids],
            ordered=False,
            session=self._session,
        )
        counts: dict[str, int | None] = dict.fromkeys(user_ids, 0)
        rooms = await self._memberships.aggregate(
            [{"$match": {"userId": {"$in": ids}}}, {"$group": {"_id": "$userId", "rooms": {"$sum": 1}}}],
            session=self._session,
        )
        counts |= {str(row["_id"]): row["rooms"] async for row in rooms}
        closed = self._users.find(
            {"_id": {"$in": ids}, "deletedAt": {"$exists": True}}, {"_id": True}, session=self._session
        )
        return counts | {str(row["_id"]): None async for row in closed}

    async def add(self, memberships: Sequence[Membership]) -> None:
        """Store memberships."""
        if memberships:
            documents = [membership_document(membership) for membership in memberships]
            await self._memberships.insert_many(documents, session=self._session)

    async def note(self, room_id: str, user_ids: Sequence[str]) -> None:
        """Remember that a room was brought, with these users."""
        await self._imported.update_one(
            {"_id": ObjectId(room_id)},
            {"$addToSet": {"members": {"$each": [ObjectId(user_id) for user_id in user_ids]}}},
            upsert=True,
            session=self._session,
        )
