"""What Redis did not take."""

from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Committed, Placed
from chat_messaging.fanout import HEADS_BATCH, Fanout, head_key
from chat_shared.contracts.base import utc_now
from chat_shared.redis import RedisConnection
from chat_shared.testing import eventually
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisAway

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOM = f"{7:024x}"


def entry(seq: int, room_id: str = ROOM) -> Committed:
    return Committed(Placed(ObjectId(), seq, utc_now()), room_id, "sender", "42[]")


async def test_the_head_of_a_batch_that_redis_did_not_take_is_raised_later(
    stack: "Stack", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would tell gateways that they missed it, if nothing more is said in the room."""
    redis = RedisConnection(stack.redis_url)
    published: list[list[Committed]] = []
    fanout = Fanout(redis.client, CrashPoints(), published.append)
    await redis.start()
    await fanout.start()
    try:
        with monkeypatch.context() as away:
            away.setattr(Pipeline, "execute", _fail)
            assert not await fanout.publish([entry(1), entry(2)])

        async def is_raised() -> bool:
            return await redis.client.get(head_key(ROOM)) == b"2"

        await eventually(is_raised, timeout=10)
        assert published == []
    finally:
        await fanout.stop()
        await redis.stop()


async def test_heads_of_many_rooms_rise_together_and_never_fall(stack: "Stack") -> None:
    redis = RedisConnection(stack.redis_url)
    rooms = [str(ObjectId()) for _ in range(HEADS_BATCH + 1)]
    fanout = Fanout(redis.client, CrashPoints(), lambda _entries: None)
    await redis.start()
    try:
        assert await fanout.publish([entry(9, rooms[0]), entry(10, rooms[-1])])
        assert await fanout.publish([entry(5 if room_id == rooms[0] else 11, room_id) for room_id in rooms])
        heads = await redis.client.mget([head_key(room_id) for room_id in rooms])
        lives = [await redis.client.ttl(head_key(room_id)) for room_id in (rooms[0], rooms[-1])]
    finally:
        await redis.stop()
    assert heads == [b"9"] + [b"11"] * HEADS_BATCH
    assert all(life > 0 for life in lives)


async def _fail(_pipeline: Pipeline) -> None:
    raise RedisAway("gone")
