"""What our use of the driver relies on."""

import asyncio
from contextlib import suppress

import chat_shared.mongo  # noqa: F401 - mends the driver where it has to
from pymongo.asynchronous.topology import _async_cond_wait
from pymongo.lock import _async_create_condition, _async_create_lock


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
