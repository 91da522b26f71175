"""What our use of the driver relies on."""

import asyncio
from contextlib import suppress

from chat_shared.fast_lane import FastLane
from chat_shared.mongo import SERVER_SELECTION_MS, Mongo  # mends the driver where it has to
from pymongo.asynchronous.topology import _async_cond_wait
from pymongo.lock import _async_create_condition, _async_create_lock
from redis.asyncio import Redis


async def test_who_is_cancelled_while_waiting_for_a_server_leaves_the_lock_as_it_was() -> None:
    lock = _async_create_lock()
    condition = _async_create_condition(lock)

    async def select_server() -> None:
        async with lock:
            await _async_cond_wait(condition, 0.01)

    selecting = asyncio.create_task(select_server())
    await asyncio.sleep(0)
    async with lock:  # the wait is over, and somebody else has the lock
        await asyncio.sleep(0.05)
        selecting.cancel()
        await asyncio.sleep(0)
        assert lock.locked()
    with suppress(asyncio.CancelledError):
        await selecting
    async with asyncio.timeout(1), lock:
        pass


async def test_a_refusal_does_not_wait_for_a_database_that_is_away() -> None:
    mongo = Mongo("mongodb://127.0.0.1:9/?directConnection=true", "test")
    redis = Redis.from_url("redis://127.0.0.1:9")
    fast_lane = FastLane(mongo.collection("outbox"), redis, owner="test")
    try:
        async with asyncio.timeout(SERVER_SELECTION_MS / 1000):
            await fast_lane.tell_again(["room"])
    finally:
        await mongo.stop()
        await redis.aclose()
