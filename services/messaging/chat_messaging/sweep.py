"""Publishes what a process committed and did not live, or did not manage, to publish."""

import time
from dataclasses import replace
from datetime import datetime, timedelta

from chat_shared.contracts.base import utc_now
from chat_shared.crypto import DecryptionFailed
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Document, Mongo

from chat_messaging.domain import Committed
from chat_messaging.fanout import Fanout
from chat_messaging.late_inserts import LateInserts
from chat_messaging.metrics import OUTBOX_AGE, OUTBOX_DEPTH, SWEPT
from chat_messaging.reading import Reader
from chat_messaging.relay import Relay
from chat_messaging.store.leases import LeaseStore
from chat_messaging.store.room_log import RoomLogStore

log = get_logger(__name__)

LEASE = "sweep"
LEASE_DURATION = timedelta(seconds=10)
PAUSE_SECONDS = 2.0
BATCH = 500
"""Flags of one round."""
MAX_ENTRIES = 500
MAX_BYTES = 2_000_000
ROUND_SECONDS = 5.0
"""What is beyond these comes in the next round: Redis has to take a round at once, within its lease."""


class Sweep:
    """One process of the service at a time looks for entries whose flag stayed."""

    def __init__(
        self,
        mongo: Mongo,
        store: RoomLogStore,
        leases: LeaseStore,
        reader: Reader,
        fanout: Fanout,
        relay: Relay,
        *,
        after_seconds: float,
    ) -> None:
        """`after_seconds`: how old an entry is before we believe that its process will not publish it."""
        self._mongo = mongo
        self._store = store
        self._leases = leases
        self._reader = reader
        self._fanout = fanout
        self._relay = relay
        self._after = timedelta(seconds=after_seconds)
        self._late = LateInserts()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Sweep in the background."""
        self._tasks.spawn(run_forever(self._sweep, name="sweep", pause=PAUSE_SECONDS), name="sweep")

    async def stop(self) -> None:
        """Stop, and let another process sweep at once."""
        await self._tasks.cancel()
        if self._mongo.is_prepared:
            await self._leases.release(LEASE)

    async def _sweep(self) -> None:
        await self._mongo.wait_prepared()
        left_out: set[str] = set()
        is_first = True
        while await self._leases.hold(LEASE, LEASE_DURATION):
            now = utc_now()
            flagged = await self._store.pending(now, self._after, BATCH, left_out)
            if is_first:
                _show(flagged, now)
                is_first = False
            if not flagged or not await self._publish(flagged, left_out):
                self._late.forget_others()
                return
        _show([], utc_now())  # another process has the lease, and tells

    async def _publish(self, flagged: list[Document], left_out: set[str]) -> bool:
        """Publish room by room, in the order of `seq`; tell whether it is worth going on.

        A room that has to wait is added to `left_out`: the rooms behind it must not wait with it.
        """
        committed: list[Committed] = []
        size, end = 0, time.monotonic() + ROUND_SECONDS
        for entry in flagged:
            if len(committed) >= MAX_ENTRIES or size >= MAX_BYTES or time.monotonic() > end:
                break
            if str(entry["roomId"]) not in left_out:
                entries = await self._entries_of(entry, left_out)
                committed += entries
                size += sum(len(each.frame) for each in entries)
        done = await self._fanout.publish(committed) and await self._relay.relay(committed)
        if done:
            SWEPT.inc(len(committed))
        return done

    async def _entries_of(self, flagged: Document, left_out: set[str]) -> list[Committed]:
        """Return what to publish for a flag; without the flag while more may come that it stands for."""
        room_id = str(flagged["roomId"])
        try:
            entries, is_whole = await self._reader.unpublished(flagged)
        except DecryptionFailed:
            log.error("room not published: its key does not open", room_id=room_id)
            left_out.add(room_id)
            return []
        if is_whole:
            return entries
        is_news = self._late.note(flagged["_id"], len(entries))
        if not self._late.may_come(flagged["_id"]):
            return entries
        left_out.add(room_id)
        return [replace(entry, has_flag=False) for entry in entries] if is_news else []


def _show(flagged: list[Document], now: datetime) -> None:
    OUTBOX_DEPTH.set(sum(1 + entry.get("more", 0) for entry in flagged))
    OUTBOX_AGE.set(max(((now - entry["ts"]).total_seconds() for entry in flagged), default=0.0))
