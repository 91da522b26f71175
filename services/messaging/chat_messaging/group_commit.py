"""Inserts of many rooms in one: what becomes ready while an insert is under way shares the next one.

The insert is ordered, so it stops at its first failure: rooms before that are stored, the room it stopped at
learns where, and the rooms behind it were not tried, so they go again at once. (Group commit: Gawlick and
Kinkade, "Varieties of Concurrency Control in IMS/VS Fast Path", 1985.)
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chat_shared.lifecycle import TaskSet
from chat_shared.mongo import Document
from pymongo.errors import BulkWriteError

from chat_messaging.crash_points import CrashPoints
from chat_messaging.metrics import APPEND_SECONDS, BATCH_SIZE
from chat_messaging.outcomes import Cause, InsertFailure, interpret
from chat_messaging.store.room_log import RoomLogStore

MAX_DOCUMENTS = 1_000
MAX_INSERTS = 2
MAX_SLOW_INSERTS = 8
SLOW_SECONDS = 0.2
"""Where an insert takes this long, rooms that have nothing to do with it wait for less with more inserts."""
LEAST_SECONDS = 0.05
STOP_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Part:
    """One room's entries."""

    documents: Sequence[Document]
    deadline: float
    done: asyncio.Future[InsertFailure | None]

    def end(self, failure: InsertFailure | None) -> None:
        if not self.done.done():
            self.done.set_result(failure)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class GroupCommit:
    """Inserts into the log for all rooms of this process."""

    def __init__(self, store: RoomLogStore, crash_points: CrashPoints) -> None:
        self._store = store
        self._crash_points = crash_points
        self._waiting: deque[_Part] = deque()
        self._inserts = 0
        self._is_slow = False
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Nothing to begin: an insert starts what it needs."""

    async def stop(self) -> None:
        """Finish the inserts under way."""
        await self._tasks.finish(STOP_SECONDS)

    async def insert(self, documents: Sequence[Document], *, deadline: float) -> InsertFailure | None:
        """Insert one room's entries in order, durably on a majority.

        Args:
            documents: the entries; a room must not have two inserts under way.
            deadline: monotonic time after which nobody waits for them any more.

        Returns:
            Where it stopped and why, None when all are stored.

        Raises:
            PyMongoError: the outcome is unknown.
        """
        part = _Part(documents, deadline, asyncio.get_running_loop().create_future())
        self._waiting.append(part)
        if self._inserts < self._max_inserts:
            self._inserts += 1
            self._tasks.spawn(self._run(), name="group-commit")
        return await part.done

    @property
    def _max_inserts(self) -> int:
        return MAX_SLOW_INSERTS if self._is_slow else MAX_INSERTS

    async def _run(self) -> None:
        """Insert until nothing waits."""
        try:
            await asyncio.sleep(0)  # what becomes ready in the same turn of the loop shares the insert
            while self._inserts <= self._max_inserts and (parts := self._take()):
                began = time.monotonic()
                await self._insert(parts)
                self._is_slow = time.monotonic() - began > SLOW_SECONDS
        finally:
            self._inserts -= 1

    def _take(self) -> list[_Part]:
        """Take parts up to the bound; what nobody waits for any more is not tried."""
        parts: list[_Part] = []
        size, now = 0, time.monotonic()
        while self._waiting and size < MAX_DOCUMENTS:
            part = self._waiting.popleft()
            if part.deadline <= now:
                part.end(InsertFailure(Cause.NOT_TRIED))
            else:
                parts.append(part)
                size += len(part.documents)
        return parts

    async def _insert(self, parts: Sequence[_Part]) -> None:
        documents = [document for part in parts for document in part.documents]
        # The last one's time: who gave up before that asks again, and must not cost the others theirs.
        deadline = max(part.deadline for part in parts)
        self._crash_points.passing("before_insert")
        BATCH_SIZE.observe(len(documents))
        try:
            with APPEND_SECONDS.time():
                await self._store.insert(documents, timeout=max(LEAST_SECONDS, deadline - time.monotonic()))
        except BulkWriteError as error:
            self._stopped(parts, interpret(error.details))
        except Exception as error:
            for part in parts:
                part.fail(error)
        except BaseException:
            for part in parts:
                part.done.cancel()
            raise
        else:
            self._crash_points.passing("after_insert")
            for part in parts:
                part.end(None)

    def _stopped(self, parts: Sequence[_Part], failure: InsertFailure) -> None:
        """Tell each part what the failure of the whole means for it."""
        if failure.cause is Cause.UNKNOWN:
            for part in parts:
                part.end(failure)
            return
        begin = 0
        untried: list[_Part] = []
        for part in parts:
            end = begin + len(part.documents)
            if end <= failure.index:
                part.end(None)
            elif begin <= failure.index:
                part.end(replace(failure, index=failure.index - begin))
            else:
                untried.append(part)
            begin = end
        self._waiting.extendleft(reversed(untried))
