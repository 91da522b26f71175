"""Changes: everything that belongs together, and the events that tell of it, in one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import Event
from chat_shared.errors import ChatError
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pymongo import ASCENDING, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_rooms.domain import LISTED_MEMBERS, Membership, Role, Room, Standing
from chat_rooms.errors import RoomNotFound, UserNotFound
from chat_rooms.store.collections import (
    Collections,
    membership_document,
    membership_from,
    membership_key,
    new_room_document,
    room_fields,
    room_from,
)
from chat_rooms.store.locks import Turns

ResultT = TypeVar("ResultT")

#: So many memberships go in the transaction that deletes their room; a transaction has to stay small.
DELETED_AT_ONCE = 100


class Transactions:
    """Runs changes one after the other per room."""

    def __init__(self, mongo: Mongo, collections: Collections, outbox: Outbox) -> None:
        self._mongo = mongo
        self._collections = collections
        self._outbox = outbox
        self._turns = Turns()

    async def run(self, work: Callable[["Transaction"], Awaitable[ResultT]], *keys: str) -> ResultT:
        """Run `work` in a transaction, publish its events after the commit, return its result.

        When it returns, or refuses, gateways have been told who lost their place, as long as Redis is there.

        Args:
            work: may be repeated; it must read what it decides on within the transaction.
            keys: ids of the room and the user that change.
        """

        async def within(session: AsyncClientSession) -> ResultT:
            return await work(Transaction(session, self._collections, self._outbox))

        try:
            async with self._turns.take(*keys):
                result = await self._mongo.transaction(within)
        except ChatError as refusal:
            if not refusal.retryable:
                # It may be refused for what another process changed and did not live to tell.
                await self._outbox.tell_again(keys)
            raise
        self._outbox.flush()
        await self._outbox.told()
        return result


class Transaction:
    """Reads and writes within one transaction: all from one snapshot, all or nothing.

    Whoever changes members or roles also saves the room with its next `rev`; of two transactions that do so
    at the same time one conflicts and is repeated on what the other left.
    """

    def __init__(self, session: AsyncClientSession, collections: Collections, outbox: Outbox) -> None:
        self._session = session
        self._rooms = collections.rooms
        self._memberships = collections.memberships
        self._users = collections.users
        self._deleted_rooms = collections.deleted_rooms
        self._outbox = outbox

    async def standing(self, room_id: str, user_id: str) -> Standing:
        """Return how a user stands to a room; raises `RoomNotFound` when there is no such room."""
        document = await self._rooms.find_one({"_id": ObjectId(room_id)}, session=self._session)
        if document is None:
            raise RoomNotFound
        return Standing(room_from(document), await self.membership(room_id, user_id))

    async def membership(self, room_id: str, user_id: str) -> Membership | None:
        """Return the membership of a user in a room."""
        document = await self._memberships.find_one(membership_key(room_id, user_id), session=self._session)
        return None if document is None else membership_from(document)

    async def longest_standing(self, room_id: str, role: Role) -> Membership | None:
        """Return the member who has been in the room for longest among those who have this role now."""
        document = await self._memberships.find_one(
            {"roomId": ObjectId(room_id), "role": role},
            sort=[("joinedAt", ASCENDING), ("userId", ASCENDING)],
            session=self._session,
        )
        return None if document is None else membership_from(document)

    async def first_members(self, room_id: str) -> tuple[str, ...]:
        """Return the users that the room lists in itself."""
        found = (
            self._memberships.find({"roomId": ObjectId(room_id)}, {"userId": True}, session=self._session)
            .sort([("joinedAt", ASCENDING), ("userId", ASCENDING)])
            .limit(LISTED_MEMBERS)
        )
        return tuple([str(document["userId"]) async for document in found])

    async def claim_place(self, user_id: str) -> int:
        """Return how many rooms a user is in, and make another entry of theirs at this moment conflict.

        So the bound on rooms per user holds, and an entry under way cannot outlive a deleted account.

        Raises:
            UserNotFound: the account was deleted.
        """
        user = await self._users.find_one_and_update(
            {"_id": ObjectId(user_id)},
            {"$inc": {"entries": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            session=self._session,
        )
        if user is None or "deletedAt" in user:
            raise UserNotFound
        return await self._memberships.count_documents({"userId": ObjectId(user_id)}, session=self._session)

    async def close_account(self, user_id: str) -> None:
        """Let the user enter no room from now on."""
        await self._users.update_one(
            {"_id": ObjectId(user_id)},
            {"$set": {"deletedAt": utc_now()}},
            upsert=True,
            session=self._session,
        )

    async def add_room(self, room: Room) -> None:
        """Store a new room."""
        await self._rooms.insert_one(new_room_document(room), session=self._session)

    async def save_room(self, room: Room) -> None:
        """Store a room that changed; its `rev` is one higher than that of the room it was made from."""
        await self._rooms.update_one(
            {"_id": ObjectId(room.id)}, {"$set": room_fields(room)}, session=self._session
        )

    async def remove_room(self, room: Room) -> None:
        """Remove a room for good; `DeletedRooms` clears what is too much for one transaction."""
        await self._rooms.delete_one({"_id": ObjectId(room.id)}, session=self._session)
        if room.member_count <= DELETED_AT_ONCE:
            await self._memberships.delete_many({"roomId": ObjectId(room.id)}, session=self._session)
        else:
            await self._deleted_rooms.insert_one(
                {"_id": ObjectId(room.id), "deletedAt": utc_now()}, session=self._session
            )

    async def add_membership(self, membership: Membership) -> None:
        """Store a new membership."""
        await self._memberships.insert_one(membership_document(membership), session=self._session)

    async def change_role(self, membership: Membership, role: Role, rev: int) -> Membership:
        """Store another role, with the room's `rev` of this change; return the membership as it is now."""
        await self._memberships.update_one(
            membership_key(membership.room_id, membership.user_id),
            {"$set": {"role": role, "rev": rev}},
            session=self._session,
        )
        return replace(membership, role=role, rev=rev)

    async def remove_membership(self, membership: Membership) -> None:
        """Remove a membership."""
        await self._memberships.delete_one(
            membership_key(membership.room_id, membership.user_id), session=self._session
        )

    async def tell(self, *events: Event) -> None:
        """Store events that are published once this transaction has committed."""
        await self._outbox.add(self._session, *events)
