"""Publishes what a process committed and did not live, or did not manage, to publish."""

from datetime import datetime, timedelta
from itertools import groupby

from chat_shared.contracts.base import utc_now
from chat_shared.crypto import DecryptionFailed
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Document, Mongo

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
            entries = await self._store.pending(now, self._after, BATCH, left_out)
            OUTBOX_DEPTH.set(len(entries))
            OUTBOX_AGE.set(_age(entries, now))
            if not entries or not await self._publish(entries, left_out):
                return

    async def _publish(self, entries: list[Document], left_out: set[str]) -> bool:
        """Publish room by room, in the order of `seq`; tell whether it is worth going on.

        A room whose key does not open is added to `left_out`: the rooms behind it must not wait for it.
        """
        committed = []
        for room_id, of_room in groupby(entries, key=lambda entry: str(entry["roomId"])):
            try:
                committed += await self._reader.committed(room_id, list(of_room))
            except DecryptionFailed:
                log.error("room not published: its key does not open", room_id=room_id)
                left_out.add(room_id)
        done = await self._fanout.publish(committed) and await self._relay.relay(committed)
        if done:
            SWEPT.inc(len(committed))
        return done


def _age(entries: list[Document], now: datetime) -> float:
    return max(((now - entry["ts"]).total_seconds() for entry in entries), default=0.0)
