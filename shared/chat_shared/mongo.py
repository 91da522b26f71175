"""The connection to MongoDB, with explicit timeouts and concerns."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import pymongo.lock
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

log = get_logger(__name__)

Document = dict[str, Any]
ResultT = TypeVar("ResultT")

SERVER_SELECTION_MS = 5_000
OPERATION_MS = 10_000
MAX_POOL = 50
MIN_POOL = 10
"""Connections that stand ready: a busy moment must not begin with making them, which takes round trips."""
MAX_CONNECTING = 10
"""The driver makes two at a time: where each takes half a second, that is four a second for all who wait."""
RETRY_SECONDS = 1.0

#: Acknowledged by a majority of the replica set, each with the write in its journal.
DURABLE = WriteConcern(w="majority", j=True)


async def _wait_in_this_task(awaitable: Awaitable[ResultT], timeout: float | None) -> ResultT:
    """Do what `asyncio.wait_for` does since Python 3.12."""
    async with asyncio.timeout(timeout):
        return await awaitable


if sys.version_info < (3, 12):
    # The driver waits for its conditions with `wait_for`, which up to 3.11 does so in a task of its own. When
    # the wait times out and its caller is cancelled while that task takes the lock again, the caller leaves
    # without it: the lock is released by one who does not hold it, then held by one who is gone, and the
    # whole client hangs for good. It takes no more than an election and a request whose time is over.
    pymongo.lock.wait_for = _wait_in_this_task  # type: ignore[attr-defined, assignment]


class Mongo:
    """One service's database. Reads and writes are majority unless a collection says otherwise.

    Create it inside the running event loop: the driver's client belongs to one loop.
    """

    def __init__(self, url: str, database: str) -> None:
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            url,
            appname=database,
            tz_aware=True,
            serverSelectionTimeoutMS=SERVER_SELECTION_MS,
            connectTimeoutMS=2_000,
            timeoutMS=OPERATION_MS,
            maxPoolSize=MAX_POOL,
            minPoolSize=MIN_POOL,
            maxConnecting=MAX_CONNECTING,
            waitQueueTimeoutMS=OPERATION_MS,
            retryWrites=True,
            retryReads=True,
        )
        self.database: AsyncDatabase[Document] = self._client.get_database(
            database,
            write_concern=DURABLE,
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._preparations: list[Callable[[], Awaitable[None]]] = []
        self._tasks = TaskSet()
        self._prepared = asyncio.Event()

    def collection(self, name: str) -> AsyncCollection[Document]:
        """Return a collection with majority reads and durable writes."""
        return self.database[name]

    def prepare_with(self, preparation: Callable[[], Awaitable[None]]) -> None:
        """Run `preparation` (indexes, first documents) once MongoDB answers, before requests are served."""
        self._preparations.append(preparation)

    async def start(self) -> None:
        """Prepare the collections in the background, as soon as MongoDB lets us."""
        self._tasks.spawn(self._prepare(), name="mongo-prepare")

    async def stop(self) -> None:
        """Close every connection."""
        await self._tasks.cancel()
        await self._client.close()

    async def prepare(self) -> None:
        """Prepare the collections now, once; whatever a preparation raises is raised."""
        for preparation in self._preparations:
            await preparation()
        self._prepared.set()

    async def _prepare(self) -> None:
        while not self._prepared.is_set():
            try:
                await self.prepare()
            except Exception as error:  # whatever it is: without an end of this nothing is served
                log.warning("mongodb is not ready", error=repr(error)[:200])
                await asyncio.sleep(RETRY_SECONDS)

    async def wait_prepared(self) -> None:
        """Return when the preparations are through."""
        await self._prepared.wait()

    @property
    def is_prepared(self) -> bool:
        """Whether indexes stand, so that writes may begin."""
        return self._prepared.is_set()

    async def check(self) -> None:
        """Raise `Unavailable` unless the primary answers and the preparations are through."""
        if not self.is_prepared:
            raise Unavailable("MongoDB is not ready")
        await self.database.command("ping")

    def start_session(self) -> AsyncClientSession:
        """Return a session for a transaction that its caller drives itself; use it with `async with`."""
        return self._client.start_session()

    async def transaction(self, work: Callable[[AsyncClientSession], Awaitable[ResultT]]) -> ResultT:
        """Run `work(session)` in a durable multi-document transaction and return its result.

        `work` may run more than once: after a write conflict or an election the driver repeats it.

        Raises:
            Unavailable: it did not succeed within ten seconds; the driver alone would try for 120. In rare
                cases the commit is under way all the same.
        """
        # Not `pymongo.timeout`: when that is over, the driver does not even send the abort.
        attempt = asyncio.create_task(self._attempt(work))
        try:
            await asyncio.wait({attempt}, timeout=OPERATION_MS / 1000)
        finally:
            if not attempt.done():
                attempt.cancel()
                # A server that hangs does not answer the abort either: nobody waits for it.
                self._tasks.spawn(_abort(attempt), name="mongo-abort")
        if not attempt.done():
            raise Unavailable("MongoDB did not answer in time; try again")
        return attempt.result()

    async def _attempt(self, work: Callable[[AsyncClientSession], Awaitable[ResultT]]) -> ResultT:
        async with self._client.start_session() as session:
            return await session.with_transaction(
                work,
                read_concern=ReadConcern("snapshot"),
                write_concern=DURABLE,
                read_preference=ReadPreference.PRIMARY,
            )


async def _abort(attempt: asyncio.Task[Any]) -> None:
    """Wait for the end of a transaction that was cancelled; its session aborts it on the way out."""
    with suppress(asyncio.CancelledError, PyMongoError):
        await attempt
