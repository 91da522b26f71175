"""A queue and an event that hold no memory: they do what those of asyncio do."""

import asyncio
from collections import deque

import pytest
from chat_gateway_ws.light import LightEvent, LightQueue


async def test_items_come_out_in_order_and_leave_nothing_behind() -> None:
    queue: LightQueue[int] = LightQueue()
    for number in range(3):
        queue.put_nowait(number)
    assert queue.qsize() == 3
    assert [queue.get_nowait(), await queue.get(), await queue.get()] == [0, 1, 2]
    assert queue.empty()
    assert not any(isinstance(getattr(queue, name), deque) for name in queue.__slots__)
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()


async def test_who_waits_gets_what_comes() -> None:
    queue: LightQueue[int] = LightQueue()
    takers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await queue.put(number)
    assert {await taker for taker in takers} == {0, 1, 2}


async def test_who_gives_up_takes_nothing_along() -> None:
    """Also when the item was there already, and it was only not its turn yet."""
    queue: LightQueue[int] = LightQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put_nowait(1)
    first.cancel()
    assert await second == 1
    assert queue.empty()


async def test_an_event_releases_all_who_wait_and_who_comes_later() -> None:
    event = LightEvent()
    waiting = [asyncio.create_task(event.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    event.set()
    event.clear()
    assert all([await waiter for waiter in waiting])
    assert not event.is_set()
    later = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    assert not later.done()
    event.set()
    assert await later
    assert await event.wait()


async def test_who_stops_waiting_for_an_event_is_forgotten() -> None:
    event = LightEvent()
    waiter = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert event._waiters == ()
