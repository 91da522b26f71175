"""How late the event loop is, and how many tasks it has: the first thing to look at in a slow process."""

import asyncio
import time
from collections import deque

from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.metrics import LOOP_LAG, LOOP_TASKS

log = get_logger(__name__)

BEAT_SECONDS = 0.5
REMEMBERED_SECONDS = 60.0
ALARM_SECONDS = 1.0


class LoopHealth:
    """Wakes up twice a second and notes by how much it was late.

    A loop that stood still (a blocking call, a machine without time, a frozen process) delays everything it
    serves by just that.
    """

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Begin to measure."""
        LOOP_LAG.set_function(self.worst)
        loop = asyncio.get_running_loop()
        # Asked for when somebody reads it: there may be thousands, too many to count with each beat.
        LOOP_TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
        self._tasks.spawn(self._beat(), name="loop-health")

    async def stop(self) -> None:
        """End the measuring."""
        await self._tasks.cancel()

    def worst(self) -> float:
        """Return the longest delay of the last minute, in seconds."""
        oldest = time.monotonic() - REMEMBERED_SECONDS
        return max((lag for at, lag in self._late if at >= oldest), default=0.0)

    async def _beat(self) -> None:
        while True:
            due = time.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self._note(time.monotonic(), due)

    def _note(self, now: float, due: float) -> None:
        lag = max(0.0, now - due)
        while self._late and self._late[0][0] < now - REMEMBERED_SECONDS:
            self._late.popleft()
        self._late.append((now, lag))
        if lag > ALARM_SECONDS:
            log.warning("the event loop stood still", seconds=round(lag, 2))
