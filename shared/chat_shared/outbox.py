"""The transactional outbox: an event is stored with the change it tells of, then published.

A crash or an absent broker between the two delays the event and never loses it: whoever finds a row whose
owner did not publish it in time takes it over. (Richardson, Microservices Patterns §3.3.)
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from pymongo import ASCENDING, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from redis.asyncio import Redis

from chat_shared.bus import Bus
from chat_shared.bus.consumer import parse_event
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import Event
from chat_shared.errors import Unavailable
from chat_shared.fast_lane import FastLane
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.mongo import Document, Mongo

LEASE = timedelta(seconds=5)
SWEEP_SECONDS = 2.0
BATCH = 100


class Outbox:
    """The events of one service on their way to the bus."""

    def __init__(self, mongo: Mongo, bus: Bus, *, instance: str, redis: Redis | None = None) -> None:
        """Args:
        instance: the name of this process, which owns the rows that it adds.
        redis: tells urgent facts on the fast lane, too.
        """
        self._rows = mongo.collection("outbox")
        self._mongo = mongo
        self._bus = bus
        self._owner = instance
        self._wake = asyncio.Event()
        self._has_swept = False
        self._tasks = TaskSet()
        self._fast_lane = FastLane(self._rows, redis, owner=instance) if redis is not None else None
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self._rows.create_index([("leasedUntil", ASCENDING), ("_id", ASCENDING)])

    async def add(self, session: AsyncClientSession, *events: Event) -> None:
        """Store events within the transaction of the change; call `flush` once it has committed."""
        rows = [self._row(event) for event in events]
        if rows:
            await self._rows.insert_many(rows, session=session)

    def _row(self, event: Event) -> Document:
        return {
            "_id": event.event_id,
            "key": event.key,
            "body": event.model_dump_json(),
            "roomId": getattr(event, "room_id", None),
            "owner": self._owner,
            "leasedUntil": utc_now() + LEASE,
        }

    def flush(self) -> None:
        """Publish soon what was committed; returns at once."""
        self._wake.set()
        if self._fast_lane is not None:
            self._fast_lane.wake()

    async def told(self) -> None:
        """Return when urgent facts that were committed before are told, or cannot be waited for any longer.

        Who has the answer to a change may rely on it, even if this process dies the moment after.
        """
        if self._fast_lane is not None:
            await self._fast_lane.told()

    async def tell_again(self, room_ids: Sequence[str]) -> None:
        """Tell urgent facts about these rooms that were not published yet, whoever committed them.

        A process may have died between its commit and this; then the one who is asked next has to.
        """
        if self._fast_lane is not None:
            await self._fast_lane.tell_again(room_ids)

    async def start(self, *, sweeps: bool = True) -> None:
        """Begin to publish: own rows when woken, other processes' rows when their lease is over.

        Args:
            sweeps: whether to take over those of others; a command leaves them to the services.
        """
        self._tasks.spawn(run_forever(self._relay, name="outbox-relay", pause=0), name="outbox-relay")
        if sweeps:
            self._tasks.spawn(
                run_forever(self._sweep, name="outbox-sweep", pause=SWEEP_SECONDS), name="outbox-sweep"
            )
        if self._fast_lane is not None:
            await self._fast_lane.start()

    async def stop(self) -> None:
        """Publish what is left of our own rows if the broker is there, then stop."""
        if self._fast_lane is not None:
            await self._fast_lane.stop()
        await self._tasks.cancel()
        if self._bus.is_connected and self._mongo.is_prepared:
            await self._publish_own()

    async def _relay(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        await self._publish_own()

    async def _publish_own(self) -> None:
        while rows := await self._rows.find({"owner": self._owner}).sort("_id").limit(BATCH).to_list():
            if not await self._publish(rows):
                return

    async def _sweep(self) -> None:
        """Take over rows whose lease ended, one by one, and publish them in the order they were made."""
        await self._mongo.wait_prepared()
        if not self._bus.is_connected:
            return
        if not self._has_swept:  # what a process of this name left when it died needs no lease to end
            await self._publish_own()
            self._has_swept = True
        now = utc_now()
        # No lease lasts that long: a clock that is ahead wrote it, and its owner may be gone.
        impossible = now + 2 * LEASE
        while row := await self._rows.find_one_and_update(
            {"$or": [{"leasedUntil": {"$lt": now}}, {"leasedUntil": {"$gt": impossible}}]},
            {"$set": {"owner": self._owner, "leasedUntil": utc_now() + LEASE}},
            sort=[("leasedUntil", ASCENDING), ("_id", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        ):
            if not await self._publish([row]):
                return

    async def _publish(self, rows: list[Document]) -> bool:
        """Publish rows and forget them; tell whether that worked (otherwise the sweep tries again)."""
        try:
            await self._bus.publish([parse_event(row["key"], row["body"].encode()) for row in rows])
        except Unavailable:
            return False
        await self._rows.delete_many({"_id": {"$in": [row["_id"] for row in rows]}})
        return True
