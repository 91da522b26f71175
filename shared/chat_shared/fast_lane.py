"""The fast lane: facts that give or take access, told a second time through Redis pub/sub.

RabbitMQ is the way that they surely arrive by, and it may be away for minutes. Somebody who was removed must
not go on hearing for as long. Nothing here is sure: what gets lost on this way comes on the other.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import orjson
from pydantic import ValidationError
from pymongo import DESCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_shared.contracts.base import StrictModel, utc_now
from chat_shared.contracts.events import (
    EVENTS,
    Event,
    MemberJoined,
    MemberLeft,
    RoomDeleted,
    SessionRevoked,
)
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Document

log = get_logger(__name__)

CHANNEL = "facts"
KEYS = (MemberJoined.key, MemberLeft.key, RoomDeleted.key, SessionRevoked.key)
MAX_AT_ONCE = 1_000
TOLD_SECONDS = 0.5
"""How long the answer to a change waits for others to be told: Redis may be away."""


class _Fact(StrictModel):
    key: Literal["member.joined.v1", "member.left.v1", "room.deleted.v1", "session.revoked.v1"]
    event: dict[str, Any]


def encode_fact(key: str, body: str) -> bytes:
    """Return what is published for an event; `body` is the event in JSON."""
    return orjson.dumps({"key": key, "event": orjson.Fragment(body)})


def decode_fact(payload: bytes) -> Event | None:
    """Return the event that was published, None (and a warning) for anything else."""
    try:
        fact = _Fact.model_validate_json(payload)
        return EVENTS[fact.key].model_validate(fact.event)
    except ValidationError as error:
        log.warning("fact ignored: it has the wrong form", errors=error.error_count())
        return None


class FastLane:
    """Tells the urgent ones among the rows of an outbox, once each, as soon as they are committed."""

    def __init__(self, rows: AsyncCollection[Document], redis: Redis, *, owner: str) -> None:
        """`owner`: the process whose rows are told."""
        self._rows = rows
        self._redis = redis
        self._owner = owner
        self._told: frozenset[str] = frozenset()
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        """Those who wait until what they committed is told."""
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Tell in the background, and wait for nothing but Redis."""
        self._tasks.spawn(run_forever(self._tell_next, name="fast-lane", pause=0), name="fast-lane")

    async def stop(self) -> None:
        """Stop at once; RabbitMQ has the rest."""
        await self._tasks.cancel()

    def wake(self) -> None:
        """Something was committed; returns at once."""
        self._wake.set()

    async def told(self) -> None:
        """Return when all that was committed before is told, or after `TOLD_SECONDS`."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(TOLD_SECONDS):
                await told

    async def tell_again(self, room_ids: Sequence[str]) -> None:
        """Tell all that waits in the outbox about these rooms, whoever committed it, within `TOLD_SECONDS`.

        A failure is logged only: the one who asks has an answer already, and must get that one.
        """
        query = {"roomId": {"$in": list(room_ids)}, "key": {"$in": KEYS}}
        try:
            async with asyncio.timeout(TOLD_SECONDS):
                rows = await self._rows.find(query).sort("_id", DESCENDING).limit(MAX_AT_ONCE).to_list()
                await self._publish(rows[::-1])
        except (PyMongoError, TimeoutError) as error:
            log.warning("facts are left to the outbox", error=repr(error)[:100])

    async def _tell_next(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        waiting, self._waiting = self._waiting, []
        try:
            await self._tell_fresh()
        finally:
            for told in waiting:
                if not told.done():
                    told.set_result(None)

    async def _tell_fresh(self) -> None:
        # The transaction itself does not know whether it will commit, or how often it will be tried: only
        # what is stored is a fact. A row whose lease is over is old news, for the sweep alone.
        query = {"leasedUntil": {"$gt": utc_now()}, "owner": self._owner, "key": {"$in": KEYS}}
        fresh = await self._rows.find(query).sort("_id", DESCENDING).limit(MAX_AT_ONCE).to_list()
        news = [row for row in reversed(fresh) if row["_id"] not in self._told]
        self._told = frozenset(row["_id"] for row in fresh)
        await self._publish(news)

    async def _publish(self, rows: Sequence[Document]) -> None:
        if not rows:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for row in rows:
                    pipeline.publish(CHANNEL, encode_fact(row["key"], row["body"]))
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("facts are left to rabbitmq", facts=len(rows), error=repr(error)[:100])
