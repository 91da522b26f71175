"""Reads outside of transactions."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pymongo
from bson import ObjectId
from chat_shared.errors import Unavailable
from chat_shared.mongo import OPERATION_MS, Document
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import ExecutionTimeout

from chat_rooms.cursors import Position
from chat_rooms.domain import Membership, Room, Standing, search_key
from chat_rooms.errors import RoomNotFound, SearchTooSlow
from chat_rooms.store.collections import Collections, membership_from, membership_key, room_from

SEARCH_MS = 500


class Queries:
    """What is asked about rooms and memberships, each with a bounded number of queries."""

    def __init__(self, collections: Collections) -> None:
        self._rooms = collections.rooms
        self._memberships = collections.memberships

    async def standing(self, room_id: str, user_id: str) -> Standing:
        """Return how a user stands to a room; raises `RoomNotFound` when there is no such room."""
        document = await self._rooms.find_one({"_id": ObjectId(room_id)})
        if document is None:
            raise RoomNotFound
        membership = await self._memberships.find_one(membership_key(room_id, user_id))
        return Standing(room_from(document), membership_from(membership) if membership else None)

    async def memberships_of(self, user_id: str) -> list[Membership]:
        """Return all memberships of a user, also those of rooms that were just deleted."""
        return [
            membership_from(document)
            async for document in self._memberships.find({"userId": ObjectId(user_id)})
        ]

    async def memberships_of_each(self, user_ids: Iterable[str], limit: int) -> dict[str, list[Membership]]:
        """Return all memberships of each user, without those users for whom `limit` has no place.

        The one who alone has more than `limit` is answered too when nobody else is.
        """
        users = sorted(ObjectId(user_id) for user_id in set(user_ids))
        # In the order of the index, so that only the last user can be cut short.
        found = self._memberships.find({"userId": {"$in": users}}).sort("userId", ASCENDING).limit(limit + 1)
        entered: dict[str, list[Membership]] = {str(user): [] for user in users}
        memberships = [membership_from(document) async for document in found]
        for membership in memberships:
            entered[membership.user_id].append(membership)
        if len(memberships) <= limit:
            return entered
        cut_short = memberships[-1].user_id
        whole = {user_id: rooms for user_id, rooms in entered.items() if user_id < cut_short}
        return whole or {cut_short: await self.memberships_of(cut_short)}

    async def member_counts(self, room_ids: Iterable[str]) -> dict[str, int]:
        """Return how many members those of the rooms have that exist, by id."""
        found = self._rooms.find(
            {"_id": {"$in": [ObjectId(room_id) for room_id in room_ids]}}, {"memberCount": True}
        )
        return {str(document["_id"]): document["memberCount"] async for document in found}

    async def most_active(self, room_ids: Iterable[str], after: Position | None, limit: int) -> list[Room]:
        """Return at most `limit` of these rooms, most recent activity first."""
        query: Document = {"_id": {"$in": [ObjectId(room_id) for room_id in room_ids]}}
        if after is not None:
            query |= _older_than(after, "activeAt")
        found = self._rooms.find(query).sort([("activeAt", DESCENDING), ("_id", DESCENDING)]).limit(limit)
        return [room_from(document) async for document in found]

    async def public_rooms(self, search: str | None, after: Position | None, limit: int) -> list[Room]:
        """Return at most `limit` public rooms, newest first, with `search` anywhere in their names.

        Raises:
            SearchTooSlow: when looking through the names takes too long.
            Unavailable: MongoDB does not answer at all.
        """
        query: Document = {"roomType": "public"}
        if after is not None:
            query |= _older_than(after, "createdAt")
        if search is not None:
            query["searchName"] = {"$regex": re.escape(search_key(search))}
        order = [("createdAt", DESCENDING), ("_id", DESCENDING)]
        if search is None:
            return [
                room_from(document) async for document in self._rooms.find(query).sort(order).limit(limit)
            ]
        found = self._rooms.find(query, max_time_ms=SEARCH_MS).sort(order).limit(limit)
        try:
            # The server's limit alone counts the search. The driver's would count the way there too, which it
            # believes to be long after a stall, and would refuse every search for a while.
            with pymongo.timeout(None):
                async with asyncio.timeout(OPERATION_MS / 1000):
                    return [room_from(document) async for document in found]
        except ExecutionTimeout as error:
            raise SearchTooSlow from error
        except TimeoutError as error:
            raise Unavailable("MongoDB did not answer in time; try again") from error

    async def members(self, room_id: str, after: Position | None, limit: int) -> list[Membership]:
        """Return at most `limit` members of a room in the order in which they joined."""
        query: Document = {"roomId": ObjectId(room_id)}
        if after is not None:
            query |= {
                "joinedAt": {"$gte": after.at},
                "$or": [{"joinedAt": {"$gt": after.at}}, {"userId": {"$gt": ObjectId(after.id)}}],
            }
        found = (
            self._memberships.find(query).sort([("joinedAt", ASCENDING), ("userId", ASCENDING)]).limit(limit)
        )
        return [membership_from(document) async for document in found]

    async def memberships(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Membership]:
        """Return those of the memberships that exist, by (room id, user id), with one query for all."""
        users_by_room: defaultdict[str, list[ObjectId]] = defaultdict(list)
        for room_id, user_id in keys:
            users_by_room[room_id].append(ObjectId(user_id))
        if not users_by_room:
            return {}
        # One branch per room is one index seek per question; two `$in` would seek every combination.
        branches = [
            {"roomId": ObjectId(room_id), "userId": {"$in": user_ids}}
            for room_id, user_ids in users_by_room.items()
        ]
        found = [membership_from(document) async for document in self._memberships.find({"$or": branches})]
        return {(membership.room_id, membership.user_id): membership for membership in found}

    async def room_types(self, room_ids: Iterable[str]) -> dict[str, str]:
        """Return the types of those of the rooms that exist, by id."""
        query = {"_id": {"$in": [ObjectId(room_id) for room_id in room_ids]}}
        return {
            str(document["_id"]): document["roomType"]
            async for document in self._rooms.find(query, {"roomType": True})
        }


def _older_than(position: Position, field: str) -> Document:
    """Return the filter for what follows `position` in descending order of `field`, then of `_id`."""
    return {
        field: {"$lte": position.at},
        "$or": [{field: {"$lt": position.at}}, {"_id": {"$lt": ObjectId(position.id)}}],
    }
