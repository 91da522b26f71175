"""Clears what deleted rooms left: at once when woken, and again and again for what a crash left."""

import asyncio
from contextlib import suppress

from chat_shared.lifecycle import TaskSet, run_forever

from chat_rooms.store import DeletedRooms

SWEEP_SECONDS = 10.0


class Cleaner:
    """Background work of one process; several may clear the same room at the same time."""

    def __init__(self, deleted_rooms: DeletedRooms) -> None:
        self._deleted_rooms = deleted_rooms
        self._woken = asyncio.Event()
        self._tasks = TaskSet()

    def wake(self) -> None:
        """Look for deleted rooms soon; returns at once."""
        self._woken.set()

    async def start(self) -> None:
        """Begin to clear."""
        self._tasks.spawn(run_forever(self._step, name="room-cleaner", pause=0.2), name="room-cleaner")

    async def stop(self) -> None:
        """Stop where it is; another process or the next start goes on."""
        await self._tasks.cancel()

    async def _step(self) -> None:
        while room_id := await self._deleted_rooms.next():
            await self._deleted_rooms.clear(room_id)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), SWEEP_SECONDS)
        self._woken.clear()
