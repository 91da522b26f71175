"""What came while the process stood still: facts first, and nobody reads the log for a client before."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis as blocking_redis
from chat_gateway_ws.subscriber import STALL_SECONDS, Subscriber
from chat_shared.redis import connect_redis
from chat_shared.testing import eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOM, FACTS = "room:stalled", "facts:stalled"


@pytest.fixture
async def heard() -> list[str]:
    return []


@pytest.fixture
async def subscriber(stack: "Stack", heard: list[str]) -> AsyncIterator[Subscriber]:
    async def nothing() -> None: ...

    async with connect_redis(stack.redis_url) as redis:
        subscriber = Subscriber(
            stack.redis_url, redis, "gateway:stalled", lambda channel, _: heard.append(channel), nothing
        )
        subscriber.also_hear(FACTS, lambda _: heard.append(FACTS))
        await subscriber.start()
        await eventually(lambda: subscriber._pubsub is not None)
        await subscriber.subscribe([ROOM])
        yield subscriber
        await subscriber.stop()


def publish_and_stand_still(url: str, seconds: float) -> None:
    """Block the whole event loop, as a frozen process does, while a message and then a fact arrive."""
    with blocking_redis.Redis.from_url(url) as redis:
        redis.publish(ROOM, "said before")
        redis.publish(FACTS, "removed")
        redis.publish(ROOM, "said after")
    time.sleep(seconds)


async def test_facts_come_first_after_a_stall(
    stack: "Stack", subscriber: Subscriber, heard: list[str]
) -> None:
    publish_and_stand_still(stack.redis_url, STALL_SECONDS + 0.5)
    await subscriber.settled()
    assert heard == [FACTS, ROOM, ROOM]


async def test_also_when_they_are_long_in_coming(
    stack: "Stack", subscriber: Subscriber, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine between Redis and us has more of them when this process has read all that is there."""
    next_message, turns = subscriber._next_message, count()

    async def slow(timeout: float) -> dict[str, Any] | None:
        return await next_message(timeout) if next(turns) % 2 else None

    monkeypatch.setattr(subscriber, "_next_message", slow)
    publish_and_stand_still(stack.redis_url, STALL_SECONDS + 0.5)
    await subscriber.settled()
    assert heard == [FACTS, ROOM, ROOM]


async def test_nothing_of_a_room_is_heard_again_before_a_question(
    stack: "Stack", subscriber: Subscriber, heard: list[str]
) -> None:
    asked = asyncio.Event()

    async def question() -> None:
        async with connect_redis(stack.redis_url) as redis:
            await redis.publish(ROOM, "said meanwhile")
            await redis.publish(FACTS, "removed meanwhile")
        asked.set()

    subscriber.ask_first(question)
    async with connect_redis(stack.redis_url) as redis:
        await redis.client_kill_filter(_type="pubsub")
    await asyncio.wait_for(asked.wait(), 10)
    await eventually(lambda: FACTS in heard, timeout=10)
    assert ROOM not in heard


async def test_the_order_of_arrival_otherwise(
    stack: "Stack", subscriber: Subscriber, heard: list[str]
) -> None:
    publish_and_stand_still(stack.redis_url, 0)
    began = asyncio.get_running_loop().time()
    await subscriber.settled()
    assert asyncio.get_running_loop().time() - began < STALL_SECONDS, "nobody waits in ordinary times"
    await eventually(lambda: heard == [ROOM, FACTS, ROOM])
