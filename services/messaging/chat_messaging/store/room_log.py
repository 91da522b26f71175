"""Collection `room_log`: one document per entry of a room, numbered densely by `seq`."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import pymongo
from bson import ObjectId
from chat_shared.mongo import DURABLE, Document, Mongo
from pymongo import ASCENDING, DESCENDING, IndexModel, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from chat_messaging.domain import PENDING, MessageKey
from chat_messaging.metrics import LOG_READS
from chat_messaging.store.abandoned import AbandonedTransactions

PENDING_INDEX = "pending"
READ_LIMIT_SECONDS = 5.0


def lost_race(error: PyMongoError) -> bool:
    """Tell whether a transaction failed as a whole because of another one: nothing of it was stored."""
    return error.has_error_label("TransientTransactionError") and not error.has_error_label(
        "UnknownTransactionCommitResult"
    )


class RoomLogStore:
    """Reads and writes the log. Reads are majority unless they say otherwise."""

    def __init__(self, mongo: Mongo) -> None:
        self._mongo = mongo
        self._log = mongo.collection("room_log")
        self._linearizable = self._log.with_options(read_concern=ReadConcern("linearizable"))
        self._abandoned = AbandonedTransactions(mongo)
        self._flags = self._log.with_options(write_concern=WriteConcern(w=1))
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self._log.create_indexes(
            [
                IndexModel([("roomId", ASCENDING), ("seq", ASCENDING)], unique=True, name="place"),
                IndexModel(
                    [("roomId", ASCENDING), ("senderId", ASCENDING), ("clientMessageId", ASCENDING)],
                    unique=True,
                    name="client_message",
                    partialFilterExpression={"clientMessageId": {"$exists": True}},
                ),
                IndexModel(
                    [("roomId", ASCENDING), ("seq", ASCENDING)],
                    name=PENDING_INDEX,
                    partialFilterExpression={"pub": PENDING},
                ),
            ]
        )

    async def insert(self, documents: Sequence[Document], *, timeout: float) -> None:
        """Insert entries in order, durably on a majority.

        Args:
            timeout: seconds to wait; after that the insert may have been applied all the same.

        Raises:
            BulkWriteError: see `outcomes.interpret`.
            PyMongoError: the outcome is unknown.
        """
        async with self._abandoned.ended_meanwhile():
            with pymongo.timeout(timeout):
                await self._log.insert_many(documents, ordered=True)

    async def insert_behind_head(
        self,
        room_id: str,
        documents_behind: Callable[[int], list[Document]],
        *,
        timeout: float,
        before_commit: Callable[[], None] = lambda: None,
    ) -> int:
        """Read the head and insert behind it in one transaction; return the head that was followed.

        Where writers race for a room, waiting until a majority has the other's entries would lose every
        race, and following them without waiting could leave a hole for ever: a failover between the read and
        the insert may roll them back. A transaction stays on one primary or fails as a whole.

        Args:
            documents_behind: makes the entries that follow a head.
            timeout: seconds to wait; after that the commit may have happened all the same.
            before_commit: called when all is inserted and nothing is committed.

        Raises:
            BulkWriteError: an entry is in the way; nothing was inserted.
            PyMongoError: see `lost_race`; otherwise the outcome is unknown.
            TimeoutError: the outcome is unknown.
        """
        try:
            return await self._in_transaction(room_id, documents_behind, before_commit, timeout)
        except PyMongoError as error:
            if lost_race(error):
                await self._abandoned.end()  # it may have been nobody's any more
            raise

    async def _in_transaction(
        self,
        room_id: str,
        documents_behind: Callable[[int], list[Document]],
        before_commit: Callable[[], None],
        timeout: float,
    ) -> int:
        # Not `pymongo.timeout`: when that is over, the driver does not even send the abort, and the open
        # transaction would keep everybody else out of the room until it is found abandoned.
        async with (
            asyncio.timeout(timeout),
            self._mongo.start_session() as session,
            await session.start_transaction(ReadConcern("majority"), DURABLE, ReadPreference.PRIMARY),
        ):
            last = await self._log.find_one(
                {"roomId": ObjectId(room_id)}, {"seq": 1}, sort=[("seq", DESCENDING)], session=session
            )
            head: int = last["seq"] if last else 0
            await self._log.insert_many(documents_behind(head), ordered=True, session=session)
            before_commit()
        return head

    async def latest_seq(self, room_id: str) -> int:
        """Return the highest `seq` on the primary, once a majority has it: the next insert has to follow it.

        Anything less could be rolled back by a failover that the insert survives, and leave a hole for ever.
        """
        with pymongo.timeout(READ_LIMIT_SECONDS):
            last = await self._linearizable.find_one(
                {"roomId": ObjectId(room_id)}, {"_id": 0, "seq": 1}, sort=[("seq", DESCENDING)]
            )
        return last["seq"] if last else 0

    async def find_by_keys(self, room_id: str, keys: Sequence[MessageKey]) -> dict[MessageKey, Document]:
        """Return those of the client messages that a majority has."""
        wanted = [
            {"senderId": ObjectId(key.sender_id), "clientMessageId": key.client_message_id} for key in keys
        ]
        with pymongo.timeout(READ_LIMIT_SECONDS):
            found = await self._log.find({"roomId": ObjectId(room_id), "$or": wanted}).to_list()
        return {MessageKey(str(entry["senderId"]), entry["clientMessageId"]): entry for entry in found}

    async def present(self, message_ids: Sequence[ObjectId]) -> set[ObjectId]:
        """Return those of the messages that a majority has."""
        with pymongo.timeout(READ_LIMIT_SECONDS):
            rows = await self._log.find({"_id": {"$in": list(message_ids)}}, {"_id": 1}).to_list()
        return {row["_id"] for row in rows}

    async def heads(self, room_ids: Sequence[str]) -> dict[str, int]:
        """Return the committed head of each room that has entries, from the index alone."""
        pipeline: list[Document] = [
            {"$match": {"roomId": {"$in": [ObjectId(room_id) for room_id in room_ids]}}},
            {"$sort": {"roomId": DESCENDING, "seq": DESCENDING}},
            {"$group": {"_id": "$roomId", "head": {"$first": "$seq"}}},
        ]
        LOG_READS.labels("heads").inc()
        with pymongo.timeout(READ_LIMIT_SECONDS):
            rows = await (await self._log.aggregate(pipeline)).to_list()
        return {str(row["_id"]): row["head"] for row in rows}

    async def after(self, room_id: str, seq: int, limit: int) -> list[Document]:
        """Return up to `limit` entries with a higher `seq`, oldest first."""
        return await self._range(room_id, {"$gt": seq}, ASCENDING, limit)

    async def before(self, room_id: str, seq: int | None, limit: int, skip: int = 0) -> list[Document]:
        """Return the `limit` entries before `seq`, or the newest, oldest first, after `skip` newer ones."""
        if seq is None:
            seq = (await self.heads([room_id])).get(room_id, 0) + 1
        # `seq` is dense, so skipping is arithmetic and costs nothing.
        found = await self._range(room_id, {"$lt": seq - skip}, DESCENDING, limit)
        return found[::-1]

    async def _range(self, room_id: str, bounds: Document, order: int, limit: int) -> list[Document]:
        LOG_READS.labels("entries").inc()
        with pymongo.timeout(READ_LIMIT_SECONDS):
            cursor = (
                self._log.find({"roomId": ObjectId(room_id), "seq": bounds}).sort("seq", order).limit(limit)
            )
            return await cursor.to_list()

    async def pending(
        self, now: datetime, after: timedelta, limit: int, without_rooms: Collection[str] = ()
    ) -> list[Document]:
        """Return committed entries whose flag is older than `after`, in the order of their rooms.

        An entry from the future is one of them: whose clock is ahead may be gone, and to publish twice is no
        harm.
        """
        query: Document = {
            "pub": PENDING,
            "$or": [{"ts": {"$lt": now - after}}, {"ts": {"$gt": now + after}}],
        }
        if without_rooms:
            query["roomId"] = {"$nin": [ObjectId(room_id) for room_id in without_rooms]}
        with pymongo.timeout(READ_LIMIT_SECONDS):
            cursor = (
                self._log.find(query).sort([("roomId", ASCENDING), ("seq", ASCENDING)]).hint(PENDING_INDEX)
            )
            return await cursor.limit(limit).to_list()

    async def mark_published(self, message_ids: Sequence[ObjectId]) -> None:
        """Clear outbox flags; a flag that comes back after a failover only means one more publish."""
        flags = {"pub": "", "more": ""}
        await self._flags.update_many({"_id": {"$in": list(message_ids)}}, {"$unset": flags})

    async def delete_room(self, room_id: str, batch: int = 1_000) -> None:
        """Delete all entries of a room, in batches that other work fits between."""
        while True:
            rows = await self._log.find({"roomId": ObjectId(room_id)}, {"_id": 1}).limit(batch).to_list()
            if not rows:
                return
            await self._log.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
