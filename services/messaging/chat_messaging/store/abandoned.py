"""Transactions that a dead process left open: ended, so that they keep nobody out of a room.

MongoDB binds a transaction to its session and not to a connection. When a process is killed between an
insert and its commit, nobody can take the places that it had taken until MongoDB gives the transaction up:
after a minute, or whatever `transactionLifetimeLimitSeconds` says.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pymongo
from chat_shared.lifecycle import is_cancelled
from chat_shared.logging import get_logger
from chat_shared.mongo import Document, Mongo
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

log = get_logger(__name__)

ABANDONED_SECONDS = 2.0
"""A transaction of the room log takes milliseconds; idle and this old it has no owner, or a frozen one."""
LOOK_SECONDS = 1.0
LIMIT_SECONDS = 2.0


class AbandonedTransactions:
    """Ends what is in the way of an insert.

    Ending the wrong one costs time and nothing else: a transaction that is ended before its commit has
    stored nothing, and its owner is told so and tries again. `$currentOp` and `killSessions` without further
    privileges see and end only what belongs to the user whom messaging is to MongoDB.
    """

    def __init__(self, mongo: Mongo) -> None:
        database = mongo.database
        self._admin = database.client.get_database("admin", read_concern=ReadConcern("local"))
        self._app_name = database.name
        self._next_look = 0.0

    @asynccontextmanager
    async def ended_meanwhile(self) -> AsyncIterator[None]:
        """While the body takes longer than `LOOK_SECONDS`, end every now and then what may hold it up."""
        watch = asyncio.create_task(self._watch(), name="abandoned-transactions")
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while not is_cancelled():  # the driver may have taken the cancellation for a timeout of its own
            await asyncio.sleep(LOOK_SECONDS)
            await self.end()

    async def end(self) -> None:
        """End what was abandoned; look at most once in `LOOK_SECONDS`; a failure is left to the next."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            with pymongo.timeout(LIMIT_SECONDS):
                if sessions := await self._find():
                    await self._admin.command({"killSessions": sessions})
                    log.warning("abandoned transactions ended", count=len(sessions))
        except PyMongoError as error:
            log.warning("abandoned transactions not looked for", error=repr(error)[:200])

    async def _find(self) -> list[Document]:
        """Return the sessions whose transactions nobody goes on with, as `killSessions` wants them."""
        abandoned = {
            "type": "idleSession",
            "appName": self._app_name,
            "transaction.timeOpenMicros": {"$gt": int(ABANDONED_SECONDS * 1_000_000)},
        }
        operations = await self._admin.aggregate(
            [{"$currentOp": {"allUsers": False, "idleSessions": True}}, {"$match": abandoned}]
        )
        return [{"id": operation["lsid"]["id"]} async for operation in operations]
