"""Publishes what a process committed and did not live, or did not manage, to publish."""

from dataclasses import replace
from datetime import datetime, timedelta

from chat_shared.contracts.base import utc_now
from chat_shared.crypto import DecryptionFailed
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Document, Mongo

from chat_messaging.domain import Committed
from chat_messaging.fanout import Fanout
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
MAX_ENTRIES = 2_000
"""Entries from which on the rest of a round comes in the next one."""
LATE_INSERT = timedelta(seconds=30)
"""Where entries of an insert are missing they may still come, from a server that was slow: until then their
flag stays. It is longer than any insert may take."""


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
        while await self._leases.hold(LEASE, LEASE_DURATION):
            now = utc_now()
            flagged = await self._store.pending(now, self._after, BATCH, left_out)
            OUTBOX_DEPTH.set(sum(1 + entry.get("more", 0) for entry in flagged))
            OUTBOX_AGE.set(max((_age(entry, now) for entry in flagged), default=timedelta()).total_seconds())
            if not flagged or not await self._publish(flagged, left_out, now):
                return

    async def _publish(self, flagged: list[Document], left_out: set[str], now: datetime) -> bool:
        """Publish room by room, in the order of `seq`; tell whether it is worth going on.

        A room that has to wait is added to `left_out`: the rooms behind it must not wait with it.
        """
        committed: list[Committed] = []
        for entry in flagged:
            room_id = str(entry["roomId"])
            if len(committed) >= MAX_ENTRIES:
                break
            if room_id in left_out:
                continue
            try:
                entries, is_whole = await self._reader.unpublished(entry)
            except DecryptionFailed:
                log.error("room not published: its key does not open", room_id=room_id)
                left_out.add(room_id)
                continue
            if not is_whole and _age(entry, now) < LATE_INSERT:
                left_out.add(room_id)
                entries = [replace(each, has_flag=False) for each in entries]
            committed += entries
        done = await self._fanout.publish(committed) and await self._relay.relay(committed)
        if done:
            SWEPT.inc(len(committed))
        return done


def _age(entry: Document, now: datetime) -> timedelta:
    age: timedelta = now - entry["ts"]
    return age
