"""The sure way to other services: `messages.appended.v1` with a confirm; only then the flag is cleared."""

import asyncio
from collections.abc import Sequence

from chat_shared.bus import Bus
from chat_shared.contracts.events import AppendedEntry, MessagesAppended, RoomAppended
from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from pymongo.errors import PyMongoError

from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Committed, by_room
from chat_messaging.metrics import PUBLISH_FAILURES
from chat_messaging.store.room_log import RoomLogStore

log = get_logger(__name__)

MAX_WAITING = 20_000
MAX_BATCH = 2_000
EVENT_ROOMS = 100
PAUSE_SECONDS = 0.5
"""Nobody waits for these events, and one about many entries costs those who handle it as much as one."""


class Relay:
    """Publishes what Redis has taken already, in batches over all rooms."""

    def __init__(self, store: RoomLogStore, bus: Bus, crash_points: CrashPoints) -> None:
        self._store = store
        self._bus = bus
        self._crash_points = crash_points
        self._waiting: list[Committed] = []
        self._wake = asyncio.Event()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Relay in the background what `enqueue` brings."""
        self._tasks.spawn(run_forever(self._relay_next, name="relay", pause=PAUSE_SECONDS), name="relay")

    async def stop(self) -> None:
        """Relay what waits if the broker is there, then stop."""
        await self._tasks.cancel()
        if self._bus.is_connected:
            await self._relay_waiting()

    def enqueue(self, entries: list[Committed]) -> None:
        """Relay soon. Beyond the bound, or when it fails, the flag stays and the sweep relays it."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting += entries
            self._wake.set()

    async def _relay_next(self) -> None:
        await self._wake.wait()
        await self._relay_waiting()

    async def _relay_waiting(self) -> None:
        self._wake.clear()
        while self._waiting:
            await self.relay(self._take())

    def _take(self) -> list[Committed]:
        """Take the next entries, with all that a flag stands for: it is cleared with them."""
        waiting, end = self._waiting, MAX_BATCH
        while end < len(waiting) and not waiting[end].has_flag:
            end += 1
        batch, self._waiting = waiting[:end], waiting[end:]
        return batch

    async def relay(self, entries: Sequence[Committed]) -> bool:
        """Publish and clear the flags; tell whether both worked."""
        self._crash_points.passing("before_confirm")
        try:
            await self._bus.publish(_events(entries))
            self._crash_points.passing("before_flag")
            await self._store.mark_published([entry.placed.message_id for entry in entries if entry.has_flag])
        except (Unavailable, PyMongoError) as error:
            PUBLISH_FAILURES.labels("rabbitmq").inc(len(entries))
            log.warning("relay left to the sweep", entries=len(entries), error=repr(error)[:200])
            return False
        return True


def _events(entries: Sequence[Committed]) -> list[MessagesAppended]:
    """Return what tells of entries: an event costs the broker and everybody as much as many rooms in it."""
    rooms = [_room(room_id, of_room) for room_id, of_room in by_room(entries).items()]
    return [
        MessagesAppended(rooms=rooms[start : start + EVENT_ROOMS])
        for start in range(0, len(rooms), EVENT_ROOMS)
    ]


def _room(room_id: str, entries: Sequence[Committed]) -> RoomAppended:
    return RoomAppended(
        room_id=room_id,
        entries=[
            AppendedEntry(
                message_id=str(entry.placed.message_id),
                seq=entry.placed.seq,
                sender_id=entry.sender_id,
                created_at=entry.placed.created_at,
                trace=entry.trace,
            )
            for entry in entries
        ],
    )
