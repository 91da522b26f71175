"""A Redis of our own for presence, apart from what the gateways of the stack look after."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

import orjson
import pytest
from chat_shared.redis import connect_redis
from redis.asyncio import Redis

if TYPE_CHECKING:
    from chat_local.stack import Stack

DATABASE = 7
ROOM = "2" * 24

Heard: TypeAlias = list[dict[str, list[str]]]


@pytest.fixture
async def redis(stack: "Stack") -> AsyncIterator[Redis]:
    """An empty database."""
    client = connect_redis(f"{stack.redis_url.rsplit('/', 1)[0]}/{DATABASE}")
    await client.flushdb()
    yield client
    await client.flushdb()
    await client.aclose()


@pytest.fixture
async def heard(redis: Redis) -> AsyncIterator[Heard]:
    """The messages about presence that `ROOM` got: event -> users."""
    messages: Heard = []
    pubsub = redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe(f"room:{ROOM}")

    async def listen() -> None:
        async for message in pubsub.listen():
            messages.append(orjson.loads(message["data"])["presence"])

    listening = asyncio.create_task(listen())
    yield messages
    listening.cancel()
    await asyncio.wait([listening])
    await pubsub.aclose()  # type: ignore[no-untyped-call]
