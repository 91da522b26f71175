"""The one writer of a room in this process: numbers what waits and commits it together.

While an insert is under way the next batch fills: a busy room costs one majority round trip per batch, a
quiet one waits for nothing. Another process may write to the same room; the unique
index on (roomId, seq) lets one of the two win, and the other reads the head again.
"""

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chat_shared.errors import Unavailable
from chat_shared.logging import get_logger
from chat_shared.mongo import Document
from pymongo.errors import BulkWriteError, PyMongoError

from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import (
    Draft,
    MessageKey,
    Placed,
    committed_entry,
    documents_of,
    last_deadline,
    places_behind,
)
from chat_messaging.errors import Busy, NotAMember
from chat_messaging.group_commit import GroupCommit
from chat_messaging.lookup import Lookup, OnCommitted, refuse_unknown
from chat_messaging.metrics import APPEND_RETRIES, APPENDED
from chat_messaging.outcomes import Cause, InsertFailure, interpret
from chat_messaging.store.room_log import RoomLogStore, lost_race

log = get_logger(__name__)

MAX_BATCH = 500
MAX_BATCH_BYTES = 1_000_000
MAX_ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 0.2
MAX_REMEMBERED = 500

MayWrite = Callable[[Draft], bool]


@dataclass(frozen=True, slots=True)
class AppenderParts:
    """What all appenders share."""

    store: RoomLogStore
    inserts: GroupCommit
    may_write: MayWrite
    """The last look at a sender's membership before the insert."""
    on_committed: OnCommitted
    crash_points: CrashPoints
    max_waiting: int


class RoomAppender:
    """Appends to one room. `run` lives for as long as something waits."""

    def __init__(self, room_id: str, parts: AppenderParts) -> None:
        self._room_id = room_id
        self._parts = parts
        self._waiting: deque[Draft] = deque()
        self._open: dict[MessageKey, Draft] = {}
        """Drafts that wait or are under way, by key: a repeat joins the first one."""
        self._recent: OrderedDict[MessageKey, tuple[Placed, bytes]] = OrderedDict()
        """What was committed lately: a repeat needs no insert."""
        self._lookup = Lookup(parts.store, room_id, on_found=self._remember, on_committed=parts.on_committed)
        self._head: int | None = None
        """The last `seq` that we know of; None when the log has to be asked."""
        self._is_forgetting = False
        """The log became another one while an insert was under way."""
        self._is_contended = False
        """Another process was faster: who waits for its entries to settle comes too late every time."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits or is under way."""
        return not self._open

    def forget(self) -> None:
        """Ask the log again where it ends and what it has: it is another one now."""
        self._head = None
        self._recent.clear()
        self._is_forgetting = not self.is_idle

    def submit(self, draft: Draft) -> None:
        """Queue a draft; its `answer` will tell what became of it.

        Raises:
            Busy: too much waits in this room.
        """
        if (committed := self._recent.get(draft.key)) is not None:
            draft.matches(*committed)
        elif (first := self._open.get(draft.key)) is not None and not first.answer.done():
            first.repeats.append(draft)
        elif len(self._waiting) >= self._parts.max_waiting:
            raise Busy
        else:
            self._waiting.append(draft)
            self._open[draft.key] = draft

    async def run(self) -> None:
        """Append until nothing waits."""
        while self._waiting:
            batch = self._take()
            try:
                await self._append(batch)
            except Exception as error:
                log.error("append failed", room_id=self._room_id, exc_info=error)
                self._head = None
                refuse_unknown(batch)
            finally:
                if self._is_forgetting:
                    self.forget()  # what was under way has brought some of it back
                    self._is_forgetting = False
                for draft in batch:
                    if self._open.get(draft.key) is draft:
                        del self._open[draft.key]

    def _take(self) -> list[Draft]:
        batch: list[Draft] = []
        size = 0
        while self._waiting and len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        return batch

    async def _append(self, batch: list[Draft]) -> None:
        rest = batch
        for attempt in range(MAX_ATTEMPTS):
            rest = self._still_wanted(rest)
            if not rest:
                return
            if attempt:
                await asyncio.sleep(random.uniform(0, min(0.01 * 2**attempt, LONGEST_PAUSE_SECONDS)))
            rest = await self._attempt(rest)
        for draft in rest:
            draft.refused(Busy())

    def _still_wanted(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Refuse, before anything is written, what its sender gave up or may not write any more."""
        now = time.monotonic()
        wanted = []
        for draft in drafts:
            if draft.deadline <= now:
                draft.refused(Unavailable("It was not stored in time"))
            elif not self._parts.may_write(draft):
                draft.refused(NotAMember())
            else:
                wanted.append(draft)
        return wanted

    async def _attempt(self, drafts: list[Draft]) -> list[Draft]:
        """Insert once; return what has to be tried again with other numbers."""
        if self._head is None and self._is_contended:
            return await self._attempt_behind_rival(drafts)
        try:
            head = await self._read_head()
        except PyMongoError:
            for draft in drafts:
                draft.refused(Unavailable("MongoDB is away; nothing was stored"))
            return []
        places = places_behind(head, drafts)
        try:
            failure = await self._parts.inserts.insert(
                documents_of(drafts, places),
                size=sum(draft.size for draft in drafts),
                deadline=last_deadline(drafts),
            )
        except PyMongoError as error:
            log.warning("insert without an answer", room_id=self._room_id, error=repr(error)[:200])
            return await self._after_unknown(drafts)
        if failure is not None:
            return await self._after_failure(drafts, places, failure)
        self._committed(drafts, places)
        return []

    async def _attempt_behind_rival(self, drafts: list[Draft]) -> list[Draft]:
        """Insert once behind what another process is writing; return what has to be tried again."""
        places: list[Placed] = []

        def documents_behind(head: int) -> list[Document]:
            places[:] = places_behind(head, drafts)
            return documents_of(drafts, places)

        try:
            timeout = max(0.05, last_deadline(drafts) - time.monotonic())
            await self._parts.store.insert_behind_head(
                self._room_id, documents_behind, timeout=timeout, before_commit=self._before_commit
            )
        except BulkWriteError as error:
            return await self._after_refused_transaction(drafts, error)
        except (PyMongoError, TimeoutError) as error:
            if isinstance(error, PyMongoError) and lost_race(error):
                return drafts
            log.warning("transaction without an answer", room_id=self._room_id, error=repr(error)[:200])
            return await self._after_unknown(drafts)
        self._is_contended = False
        self._committed(drafts, places)
        return []

    def _before_commit(self) -> None:
        self._parts.crash_points.passing("before_commit")

    async def _after_refused_transaction(self, drafts: list[Draft], error: BulkWriteError) -> list[Draft]:
        """Nothing was inserted: answer what is in the log already, and try the rest again."""
        failure = interpret(error.details)
        APPEND_RETRIES.labels(failure.cause.name.lower()).inc()
        if failure.cause is Cause.UNKNOWN and not lost_race(error):
            return await self._after_unknown(drafts)
        return await self._lookup.once(drafts) if failure.cause is Cause.KEY_TAKEN else drafts

    async def _read_head(self) -> int:
        if self._head is None:
            self._head = await self._parts.store.latest_seq(self._room_id)
        return self._head

    async def _after_failure(
        self, drafts: list[Draft], places: list[Placed], failure: InsertFailure
    ) -> list[Draft]:
        """Answer what is in the log after an insert that stopped; return what has to be tried again."""
        if failure.cause is Cause.NOT_TRIED:
            return drafts
        APPEND_RETRIES.labels(failure.cause.name.lower()).inc()
        if failure.cause is Cause.UNKNOWN:
            return await self._after_unknown(drafts)
        index = failure.index
        self._committed(drafts[:index], places[:index])
        if failure.cause is Cause.SEQ_TAKEN:
            self._head = None
            self._is_contended = True
            return drafts[index:]
        # A duplicate key alone does not prove that a majority has the first one: read it back at majority.
        # Where one was sent again others were too (a client's whole outbox), so ask for all that is left.
        rest = await self._lookup.once(drafts[index + 1 :])
        return await self._lookup.until_known(drafts[index : index + 1]) + rest

    async def _after_unknown(self, drafts: list[Draft]) -> list[Draft]:
        """Find out what became of an insert that nobody can tell of; return what has to be tried again."""
        self._head = None
        for draft in drafts:
            draft.maybe_stored = True
        return await self._lookup.until_known(drafts)

    def _committed(self, drafts: Sequence[Draft], places: Sequence[Placed]) -> None:
        if not drafts:
            return
        self._head = places[-1].seq
        APPENDED.inc(len(drafts))
        for draft, place in zip(drafts, places, strict=True):
            self._remember(draft.key, place, draft.body_hash)
            draft.stored(place)
        entries = [
            committed_entry(draft, place, has_flag=place is places[0])
            for draft, place in zip(drafts, places, strict=True)
        ]
        self._parts.on_committed(entries)

    def _remember(self, key: MessageKey, place: Placed, body_hash: bytes) -> None:
        self._recent[key] = (place, body_hash)
        if len(self._recent) > MAX_REMEMBERED:
            self._recent.popitem(last=False)
