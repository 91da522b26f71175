"""Background tasks end when their owner does, whatever they are in the middle of."""

import asyncio

import pytest
from chat_shared import lifecycle
from chat_shared.lifecycle import TaskSet, run_forever


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_AGAIN_SECONDS", 0.01)


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    began, lost = asyncio.Event(), asyncio.Event()

    async def connect() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not lost.is_set():
                lost.set()
                raise OSError("as asyncio.wait_for does when the connection fails just then") from None
            raise

    tasks = TaskSet()
    task = tasks.spawn(run_forever(connect, name="connect", pause=0), name="connect")
    await began.wait()
    # Not wait_for: it would itself send the second cancellation.
    ended, _ = await asyncio.wait({asyncio.create_task(tasks.cancel())}, timeout=5)
    assert ended
    assert lost.is_set()
    assert task.cancelled()
    assert len(tasks) == 0


async def test_failures_on_the_way_out_do_not_stop_the_others() -> None:
    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError

    tasks = TaskSet()
    ended = [tasks.spawn(fail_when_cancelled(), name="fails"), tasks.spawn(asyncio.sleep(60), name="sleeps")]
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.cancel(), 5)
    assert all(task.done() for task in ended)


async def test_a_cancellation_that_nobody_ordered_does_not_end_periodic_work() -> None:
    """The RabbitMQ library raises one in whoever waits for a connection that it gives up."""
    calls, went_on = [], asyncio.Event()

    async def step() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise asyncio.CancelledError
        went_on.set()
        await asyncio.sleep(60)

    tasks = TaskSet()
    tasks.spawn(run_forever(step, name="step", pause=0), name="step")
    await asyncio.wait_for(went_on.wait(), 5)
    await asyncio.wait_for(tasks.cancel(), 5)
    assert calls == [0, 1]
