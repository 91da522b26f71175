"""Messages on their way to messaging: one request carries all that came in while the last one was away.

At low load a message leaves at once; at high load a request carries hundreds. A room's messages keep
their order because a room is never in two requests at the same time.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus

from chat_shared.contracts.internal import SendError, SendItem, SendResult
from chat_shared.errors import ChatError, OutcomeUnknown
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

from chat_gateway_ws.clients import MessagingClient
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.metrics import SEND_BATCH, SEND_SECONDS

log = get_logger(__name__)

SEND_WAITING, SEND_REQUEST = SEND_SECONDS.labels("waiting"), SEND_SECONDS.labels("request")

MAX_BATCH = 500
MAX_WAITING = 10_000
MAX_REQUESTS = 2
MAX_SLOW_REQUESTS = 8
SLOW_SECONDS = 0.2
"""Where a request takes this long, rooms that have nothing to do with it wait for less with more requests."""
PACE_SECONDS = 0.02
"""Between two requests of a lane when they are full: a request costs as much as many messages in it."""
FULL_BATCH = 16
"""Messages in a request from which on the next one keeps its whole distance; with fewer, less of it."""
LEAST_PACE = 0.4
"""The part of the distance that is always kept; nobody waits who comes after a quiet while."""
DEADLINE_SECONDS = 8.0
MIN_SECONDS = 1.0
"""A message with less time than this is not sent: a request has the time of its oldest message."""


@dataclass(slots=True)
class _Waiting:
    item: SendItem
    answer: asyncio.Future[SendResult]
    deadline: float


@dataclass(slots=True)
class _Lane:
    """The rooms that are at home with one instance of messaging.

    While that one does not answer, their requests go elsewhere but stay in this lane: that keeps their order.
    """

    waiting: dict[str, deque[_Waiting]] = field(default_factory=dict)
    """Per room, oldest first; the rooms in the order in which they began to wait."""
    rooms_away: set[str] = field(default_factory=set)
    """Rooms that are part of a request under way."""
    requests: int = 0
    next_at: float = 0.0
    """When the next one may leave."""
    is_slow: bool = False
    """Whether the latest answer took long."""

    @property
    def max_requests(self) -> int:
        """How many requests may be under way."""
        return MAX_SLOW_REQUESTS if self.is_slow else MAX_REQUESTS

    async def turn(self) -> None:
        """Return when the next request may leave: at once after a quiet while, or where answers take long."""
        await asyncio.sleep(0)  # what arrives in the same turn of the loop shares the request
        # While this one waits, another request may leave with all that waited: then it is not its turn yet.
        while not self.is_slow and (seconds := self.next_at - time.monotonic()) > 0:  # noqa: ASYNC110 - a pause
            await asyncio.sleep(seconds)

    def left(self, size: int) -> None:
        """A request with so many messages leaves now."""
        self.next_at = time.monotonic() + PACE_SECONDS * max(LEAST_PACE, min(1.0, size / FULL_BATCH))


class SendBatcher:
    """Collects messages into requests, per instance of messaging."""

    def __init__(self, messaging: MessagingClient) -> None:
        self._messaging = messaging
        self._lanes: dict[str, _Lane] = {}
        """By instance."""
        self._lane_of: dict[str, _Lane] = {}
        """Where rooms have messages: when the instance of a room changes, those still come first."""
        self._waiting = 0
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Nothing to begin: a message starts what it needs."""

    async def stop(self) -> None:
        """Wait for the requests under way."""
        await self._tasks.finish(DEADLINE_SECONDS)

    def submit(self, item: SendItem) -> asyncio.Future[SendResult]:
        """Queue a message and return its outcome to come: a result, never an exception.

        Raises:
            Busy: too much is waiting already.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy
        answer: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        lane = self._lane(item.room_id)
        queue = lane.waiting.setdefault(item.room_id, deque())
        queue.append(_Waiting(item, answer, time.monotonic() + DEADLINE_SECONDS))
        self._waiting += 1
        if lane.requests < lane.max_requests and item.room_id not in lane.rooms_away:
            lane.requests += 1
            self._tasks.spawn(self._run(lane), name="send-lane")
        return answer

    def _lane(self, room_id: str) -> _Lane:
        if (lane := self._lane_of.get(room_id)) is None:
            lane = self._lanes.setdefault(self._messaging.home(room_id), _Lane())
            self._lane_of[room_id] = lane
        return lane

    async def _run(self, lane: _Lane) -> None:
        """Send batch after batch until no room of the lane is free to go."""
        try:
            while lane.requests <= lane.max_requests and lane.waiting:
                await lane.turn()
                if not (batch := self._take(lane)):
                    return
                lane.left(len(batch))
                rooms = {waiting.item.room_id for waiting in batch}
                lane.rooms_away |= rooms
                began = time.monotonic()
                try:
                    await self._send(batch)
                finally:
                    lane.rooms_away -= rooms
                    for room_id in rooms - lane.waiting.keys():
                        del self._lane_of[room_id]
                    lane.is_slow = time.monotonic() - began > SLOW_SECONDS
        finally:
            lane.requests -= 1

    def _take(self, lane: _Lane) -> list[_Waiting]:
        """Take what may go now, for one instance: homes may have changed since rooms came into the lane."""
        batch: list[_Waiting] = []
        free = [room_id for room_id in lane.waiting if room_id not in lane.rooms_away]
        home = self._messaging.home(free[0]) if free else ""
        for room_id in free:
            if self._messaging.home(room_id) != home:
                continue
            queue = lane.waiting[room_id]
            while queue and len(batch) < MAX_BATCH:
                batch.append(queue.popleft())
            if queue:
                break
            del lane.waiting[room_id]
        self._waiting -= len(batch)
        return batch

    async def _send(self, batch: list[_Waiting]) -> None:
        batch = self._in_time(batch)
        if not batch:
            return
        SEND_BATCH.observe(len(batch))
        timeout = min(waiting.deadline for waiting in batch) - time.monotonic()
        SEND_WAITING.observe(DEADLINE_SECONDS - timeout)
        try:
            with SEND_REQUEST.time():
                answer = await self._messaging.send([waiting.item for waiting in batch], timeout=timeout)
            results = answer.results
        except ChatError as error:
            # A failure inside messaging says nothing about what it had stored before.
            known = error.retryable or error.status < HTTPStatus.INTERNAL_SERVER_ERROR
            results = [_failed(error if known else OutcomeUnknown())] * len(batch)
        except Exception as error:
            log.error("batch failed", exc_info=error)
            results = [_failed(OutcomeUnknown())] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(result)

    def _in_time(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Refuse what waited too long and return the rest."""
        latest = time.monotonic() + MIN_SECONDS
        for waiting in batch:
            if waiting.deadline < latest:
                waiting.answer.set_result(_failed(Busy()))
        return [waiting for waiting in batch if waiting.deadline >= latest]


def _failed(error: ChatError) -> SendResult:
    return SendResult(error=SendError(code=error.code, message=error.message, retryable=error.retryable))
