"""Parts of a service that start and stop with it, and background work that must not die unseen."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from chat_shared.logging import get_logger

log = get_logger(__name__)

CANCEL_AGAIN_SECONDS = 2.0


class Component(Protocol):
    """A part with a life: started before the first request, stopped after the last one."""

    async def start(self) -> None:
        """Begin; never fail because a neighbour is away, but keep trying in the background."""

    async def stop(self) -> None:
        """Finish what is under way and let go of every resource."""


class TaskSet:
    """Background tasks of one owner: kept from garbage collection, logged when they fail, ended together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run `work` in the background; an exception in it is logged under `name`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def __len__(self) -> int:
        return len(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background task failed", task=task.get_name(), exc_info=error)

    async def finish(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for the tasks to end by themselves, then cancel the rest."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout)
        await self.cancel()

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they are gone.

        A cancellation can get lost on its way: `asyncio.wait_for` before Python 3.12 drops it when what it
        waits for ends at the same moment. So a task that goes on is cancelled again.
        """
        while tasks := {task for task in self._tasks if not task.done()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_AGAIN_SECONDS)


def is_cancelled() -> bool:
    """Tell whether somebody wants the current task to end.

    A `CancelledError` does not say so by itself: the RabbitMQ library raises it in whoever waits for a
    connection that it gives up. Taken for an order to stop, it would end a background task without a word.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def run_forever(step: Callable[[], Awaitable[None]], *, name: str, pause: float) -> None:
    """Call `step` again and again, `pause` seconds apart; a failure is logged and does not end it."""
    while True:
        try:
            await step()
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            log.warning("periodic work was broken off by what it waited for", work=name)
        except Exception as error:
            log.warning("periodic work failed", work=name, error=repr(error))
        await asyncio.sleep(pause)
