"""Turns: changes of one room within a process wait for each other instead of conflicting in MongoDB."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from chat_rooms.errors import RoomBusy

WAIT_SECONDS = 5.0


class Turns:
    """One fair lock per key, kept only while somebody uses it.

    Correctness rests on the database alone. Without turns fifty users who join one room at once would cost
    about a thousand transactions, as each commit makes all the others start over.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, *keys: str) -> AsyncIterator[None]:
        """Hold the locks of all keys.

        Raises:
            RoomBusy: when they did not come free within five seconds.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    # Everybody takes them in the same order, so nobody waits for a waiter.
                    for key in sorted(set(keys)):
                        lock = self._locks.setdefault(key, asyncio.Lock())
                        await held.enter_async_context(lock)
            except TimeoutError as error:
                raise RoomBusy from error
            yield
