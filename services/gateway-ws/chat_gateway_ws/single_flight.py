"""The same work, asked for by many at once, is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class SingleFlight:
    """Work under way, by key. Who asks meanwhile waits for it and shares its outcome."""

    __slots__ = ("_under_way",)

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    def is_under_way(self, key: Hashable) -> bool:
        """Tell whether who asks now would share what began before."""
        return key in self._under_way

    async def run(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Return the result of `work`, or of the same work that began before.

        It goes on for the others when one who waits is cancelled. It raises what the work raises.
        """
        task: asyncio.Task[ResultT] | None = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waits gets it; when nobody does any more, it is no news
