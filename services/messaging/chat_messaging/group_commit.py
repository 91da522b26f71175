"""Inserts of many rooms in one: what becomes ready while an insert is under way shares the next one.

The insert is ordered, so it stops at its first failure: rooms before that are stored, the room it stopped at
learns where, and the rooms behind it were not tried, so they go again at once. So that they do not go again
and again, groups are smaller while inserts fail: see `group_limit`. (Group commit: Gawlick and Kinkade,
"Varieties of Concurrency Control in IMS/VS Fast Path", 1985.)
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
from chat_messaging.group_limit import GroupLimit
from chat_messaging.metrics import APPEND_SECONDS, BATCH_SIZE
from chat_messaging.outcomes import Cause, InsertFailure, interpret
from chat_messaging.store.room_log import RoomLogStore

MAX_DOCUMENTS = 1_000
MAX_BYTES = 4_000_000
"""A few long messages are as much work as many short ones, also where they have to be sent again."""
MAX_INSERTS = 2
MAX_SLOW_INSERTS = 8
"""Where inserts are slow, or small because some fail, more of them let rooms wait for less of each other."""
SLOW_SECONDS = 0.2
LEAST_SECONDS = 0.05
STOP_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Part:
    """One room's entries."""

    documents: Sequence[Document]
    size: int
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
        self._limit = GroupLimit(MAX_DOCUMENTS)
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Nothing to begin: an insert starts what it needs."""

    async def stop(self) -> None:
        """Finish the inserts under way."""
        await self._tasks.finish(STOP_SECONDS)

    async def insert(
        self, documents: Sequence[Document], *, size: int, deadline: float
    ) -> InsertFailure | None:
        """Insert one room's entries in order, durably on a majority.

        Args:
            documents: the entries; a room must not have two inserts under way.
            size: their bytes, roughly.
            deadline: monotonic time after which nobody waits for them any more.

        Returns:
            Where it stopped and why, None when all are stored.

        Raises:
            PyMongoError: the outcome is unknown.
        """
        part = _Part(documents, size, deadline, asyncio.get_running_loop().create_future())
        self._waiting.append(part)
        self._begin(1)
        return await part.done

    @property
    def _max_inserts(self) -> int:
        return MAX_SLOW_INSERTS if self._is_slow or self._limit.is_reduced else MAX_INSERTS

    def _begin(self, wanted: int) -> None:
        """Begin inserts, as many as are wanted and may be under way."""
        for _ in range(min(wanted, self._max_inserts - self._inserts)):
            self._inserts += 1
            self._tasks.spawn(self._run(), name="group-commit")

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
        """Take what fits into one insert, at least one part; what nobody waits for any more is not tried."""
        parts: list[_Part] = []
        entries, size, now = 0, 0, time.monotonic()
        while self._waiting:
            part = self._waiting[0]
            if part.deadline <= now:
                part.end(InsertFailure(Cause.NOT_TRIED))
            else:
                entries += len(part.documents)
                size += part.size
                if parts and (entries > self._limit.entries or size > MAX_BYTES):
                    break
                parts.append(part)
            self._waiting.popleft()
        return parts

    async def _insert(self, parts: Sequence[_Part]) -> None:
        limit = self._limit.entries
        documents = [document for part in parts for document in part.documents]
        # The last one's time: who gave up before that asks again, and must not cost the others theirs.
        deadline = max(part.deadline for part in parts)
        self._crash_points.passing("before_insert")
        BATCH_SIZE.observe(len(documents))
        try:
            with APPEND_SECONDS.time():
                await self._store.insert(documents, timeout=max(LEAST_SECONDS, deadline - time.monotonic()))
        except BulkWriteError as error:
            self._stopped(parts, interpret(error.details), limit)
        except Exception as error:
            for part in parts:
                part.fail(error)
        except BaseException:
            for part in parts:
                part.done.cancel()
            raise
        else:
            self._crash_points.passing("after_insert")
            self._limit.succeeded(limit)
            for part in parts:
                part.end(None)

    def _stopped(self, parts: Sequence[_Part], failure: InsertFailure, limit: int) -> None:
        """Tell each part what the failure of the whole means for it."""
        if failure.cause is Cause.UNKNOWN:
            for part in parts:
                part.end(failure)
            return
        self._limit.failed(limit)
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
        self._begin(len(untried))  # more may be under way now, and nobody else may come who begins them
