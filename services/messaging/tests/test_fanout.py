"""What Redis did not take."""

from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Committed, Placed
from chat_messaging.fanout import Fanout, head_key
from chat_shared.contracts.base import utc_now
from chat_shared.redis import RedisConnection
from chat_shared.testing import eventually
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisAway

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOM = f"{7:024x}"


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
            entries = [
                Committed(Placed(ObjectId(), seq, utc_now()), ROOM, "sender", "42[]") for seq in (1, 2)
            ]
            assert not await fanout.publish(entries)

        async def is_raised() -> bool:
            return await redis.client.get(head_key(ROOM)) == b"2"

        await eventually(is_raised, timeout=10)
        assert published == []
    finally:
        await fanout.stop()
        await redis.stop()


def entry(seq: int) -> Committed:
    return Committed(Placed(ObjectId(), seq, utc_now()), ROOM, "sender", "42[]")


async def _fail(_pipeline: Pipeline) -> None:
    raise RedisAway("gone")
