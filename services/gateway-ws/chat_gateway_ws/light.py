"""`Queue` and `Event` of asyncio without the memory: one of theirs takes 3 KiB and 0.8, empty as they are.

A connection has several, and nearly all of them are empty nearly all the time.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class LightEvent:
    """A flag that can be waited for."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self, *, is_set: bool = False) -> None:
        self._is_set = is_set
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Return whether the flag is up."""
        return self._is_set

    def set(self) -> None:
        """Raise the flag; all who wait for it go on."""
        self._is_set = True
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Lower the flag."""
        self._is_set = False

    async def wait(self) -> bool:
        """Return when the flag is up, or was raised meanwhile."""
        if self._is_set:
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters += (waiter,)
        try:
            await waiter
        finally:
            self._waiters = tuple(other for other in self._waiters if other is not waiter)
        return True


class LightQueue(Generic[T]):
    """An unbounded queue. Several may wait for an item; which of them gets it is not defined."""

    __slots__ = ("_arrived", "_items")

    def __init__(self) -> None:
        self._items: deque[T] | None = None
        self._arrived = LightEvent()

    def empty(self) -> bool:
        """Return whether nothing waits."""
        return self._items is None

    def qsize(self) -> int:
        """Return how many items wait."""
        return len(self._items) if self._items is not None else 0

    def put_nowait(self, item: T) -> None:
        """Add an item."""
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        self._arrived.set()

    async def put(self, item: T) -> None:
        """Add an item: as the libraries call it."""
        self.put_nowait(item)

    def get_nowait(self) -> T:
        """Take the oldest item.

        Raises:
            asyncio.QueueEmpty: there is none.
        """
        if self._items is None:
            raise asyncio.QueueEmpty
        item = self._items.popleft()
        if not self._items:
            self._items = None
            self._arrived.clear()
        return item

    async def get(self) -> T:
        """Take the oldest item, as soon as there is one."""
        await self.filled()
        return self.get_nowait()

    async def filled(self) -> None:
        """Return when something waits: it is there until somebody else has a turn."""
        while self._items is None:
            await self._arrived.wait()
