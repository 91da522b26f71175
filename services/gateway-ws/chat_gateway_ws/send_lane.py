"""The way to one instance of messaging: what waits for it, what is under way, and when the next may leave."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from chat_shared.contracts.internal import SendItem, SendResult

MAX_BATCH = 500
MAX_SENDERS = 2
MAX_SLOW_SENDERS = 8
SLOW_SECONDS = 0.2
"""Where messaging takes this long to take a request in, rooms that have nothing to do with it wait for less
with more of them."""
MAX_UNANSWERED = 16
"""Requests of a lane that may be under way: more would only wait inside messaging."""
PACE_SHARE = 0.5
"""Of the time that an answer takes, what lies between two requests of a lane while one is under way: each
costs as much as many messages in it, and the slower they are answered, the more messages share one."""
MIN_PACE_SECONDS = 0.015
"""Measured with ten rooms of ten: without it, 500 messages a second cost twice as much, and as 2,000 do."""
MAX_PACE_SECONDS = 0.05
SMOOTHING = 0.2


@dataclass(slots=True)
class WaitingSend:
    """A message that waits for its request."""

    item: SendItem
    answer: asyncio.Future[SendResult]
    deadline: float
    """Monotonic time at which its sender is told something in any case."""


class SendLane:
    """The rooms that are at home with one instance of messaging.

    While that one does not answer, their requests go elsewhere but stay in this lane: that keeps their order.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, deque[WaitingSend]] = {}
        """Per room, oldest first; the rooms in the order in which they began to wait."""
        self.rooms_away: set[str] = set()
        """Rooms that are part of a request that messaging has not taken in yet."""
        self.senders = 0
        """Tasks that send requests, each one after the other."""
        self.is_slow = False
        """Whether messaging took long to take in the latest request."""
        self.places = asyncio.Semaphore(MAX_UNANSWERED)
        self._unanswered: Counter[str] = Counter()
        """How many requests are under way, by instance."""
        self._answered = asyncio.Event()
        self._answer_seconds = 0.0
        self._next_at = 0.0

    @property
    def max_senders(self) -> int:
        """How many requests may be on their way in."""
        return MAX_SLOW_SENDERS if self.is_slow else MAX_SENDERS

    async def turn(self) -> None:
        """Wait until the next request may leave: at once where none is under way."""
        now = time.monotonic()
        if self._unanswered.total():
            pace = min(max(self._answer_seconds * PACE_SHARE, MIN_PACE_SECONDS), MAX_PACE_SECONDS)
            self._next_at = max(now, self._next_at + pace)
            await asyncio.sleep(self._next_at - now)
        else:
            self._next_at = now

    def take(self) -> list[WaitingSend]:
        """Take what may go now."""
        batch: list[WaitingSend] = []
        for room_id in [room_id for room_id in self.waiting if room_id not in self.rooms_away]:
            queue = self.waiting[room_id]
            while queue and len(batch) < MAX_BATCH:
                batch.append(queue.popleft())
            if queue:
                break
            del self.waiting[room_id]
        return batch

    @asynccontextmanager
    async def under_way(self, instance: str) -> AsyncIterator[None]:
        """Have a request under way at one instance, and none at any other: two do not keep one order."""
        while self._unanswered.total() > self._unanswered[instance]:
            self._answered.clear()
            await self._answered.wait()
        self._unanswered[instance] += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self._answer_seconds += SMOOTHING * (time.monotonic() - began - self._answer_seconds)
            self._unanswered[instance] -= 1
            self._answered.set()
