"""Messages on their way to messaging: one request carries all that came in since the last one left.

At low load a message leaves at once; at high load a request carries hundreds. A room's messages keep their
order because its next request does not leave before messaging has the last one in line, which it tells by
beginning its answer; and because the requests of a lane are under way at one instance of messaging only.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus

from chat_shared.contracts.internal import SendError, SendItem, SendResult, SendResults
from chat_shared.errors import ChatError, OutcomeUnknown
from chat_shared.http import NotReached
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

from chat_gateway_ws.clients import MessagingClient
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.metrics import SEND_BATCH
from chat_gateway_ws.send_lane import SLOW_SECONDS, SendLane, WaitingSend

log = get_logger(__name__)

MAX_WAITING = 10_000
DEADLINE_SECONDS = 8.0
MIN_SECONDS = 1.0
"""A message with less time than this is not sent: a request has the time of its oldest message."""


class SendBatcher:
    """Collects messages into requests, per instance of messaging."""

    def __init__(self, messaging: MessagingClient) -> None:
        self._messaging = messaging
        self._lanes: dict[str, SendLane] = {}
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
        queue.append(WaitingSend(item, answer, time.monotonic() + DEADLINE_SECONDS))
        self._waiting += 1
        if lane.senders < lane.max_senders and item.room_id not in lane.rooms_away:
            lane.senders += 1
            self._tasks.spawn(self._send_waiting(lane), name="send-lane")
        return answer

    def _lane(self, room_id: str) -> SendLane:
        home = self._messaging.home(room_id)
        if home not in self._lanes:
            self._lanes[home] = SendLane()
        return self._lanes[home]

    async def _send_waiting(self, lane: SendLane) -> None:
        """Send batch after batch until no room of the lane is free to go."""
        await asyncio.sleep(0)  # what arrives in the same turn of the loop shares the request
        try:
            while lane.senders <= lane.max_senders and lane.waiting:
                await lane.places.acquire()
                await lane.turn()
                batch = lane.take()
                self._waiting -= len(batch)
                if not batch:
                    lane.places.release()
                    return
                await self._send(lane, batch)
        finally:
            lane.senders -= 1

    async def _send(self, lane: SendLane, batch: list[WaitingSend]) -> None:
        """Send a batch and return when messaging has it in line; its answer comes later."""
        rooms = {waiting.item.room_id for waiting in batch}
        lane.rooms_away |= rooms
        began = time.monotonic()
        in_line = asyncio.Event()
        task = self._tasks.spawn(self._exchange(lane, batch, in_line), name="send-request")
        task.add_done_callback(lambda _: in_line.set())
        try:
            await in_line.wait()
        finally:
            lane.rooms_away -= rooms
            lane.is_slow = time.monotonic() - began > SLOW_SECONDS

    async def _exchange(self, lane: SendLane, batch: list[WaitingSend], in_line: asyncio.Event) -> None:
        try:
            batch = self._in_time(batch)
            if not batch:
                return
            SEND_BATCH.observe(len(batch))
            results = await self._results(lane, batch, in_line)
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(result)
        finally:
            lane.places.release()

    async def _results(
        self, lane: SendLane, batch: list[WaitingSend], in_line: asyncio.Event
    ) -> list[SendResult]:
        """Return the outcome of each message, whatever happens."""
        try:
            *others, last = self._messaging.instances(batch[0].item.room_id)
            for instance in others:
                with suppress(NotReached):
                    return await self._ask(lane, instance, batch, in_line)
            return await self._ask(lane, last, batch, in_line)
        except ChatError as error:
            # A failure inside messaging says nothing about what it had stored before.
            known = error.retryable or error.status < HTTPStatus.INTERNAL_SERVER_ERROR
            return [_failed(error if known else OutcomeUnknown())] * len(batch)
        except Exception as error:
            log.error("batch failed", exc_info=error)
            return [_failed(OutcomeUnknown())] * len(batch)

    async def _ask(
        self, lane: SendLane, instance: str, batch: list[WaitingSend], in_line: asyncio.Event
    ) -> list[SendResult]:
        items = [waiting.item for waiting in batch]
        async with lane.under_way(instance):
            timeout = min(waiting.deadline for waiting in batch) - time.monotonic()
            if timeout < MIN_SECONDS:
                raise Busy
            answer = await self._messaging.send(items, instance=instance, timeout=timeout)
            in_line.set()
            results = SendResults.model_validate_json(await answer.read()).results
        if len(results) != len(batch):
            raise ValueError(f"{len(results)} outcomes of {len(batch)} messages")
        return results

    def _in_time(self, batch: list[WaitingSend]) -> list[WaitingSend]:
        """Refuse what waited too long and return the rest."""
        latest = time.monotonic() + MIN_SECONDS
        for waiting in batch:
            if waiting.deadline < latest:
                waiting.answer.set_result(_failed(Busy()))
        return [waiting for waiting in batch if waiting.deadline >= latest]


def _failed(error: ChatError) -> SendResult:
    return SendResult(error=SendError(code=error.code, message=error.message, retryable=error.retryable))
