"""What happens to one delivery: parse, handle, acknowledge; or try again here, or set aside.

Nothing is given back to the broker to be tried again: a quorum queue with a delivery limit puts it at its
head and delivers it at once, so all tries would be over within milliseconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError
from pymongo.errors import ConnectionFailure, PyMongoError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from chat_shared.contracts.events import EVENTS, Event
from chat_shared.errors import ChatError
from chat_shared.logging import get_logger
from chat_shared.metrics import EVENTS_CONSUMED
from chat_shared.request_context import REQUEST_ID_HEADER, set_request_id

log = get_logger(__name__)

Handler = Callable[[Event], Awaitable[None]]

EVENT_ID_HEADER = "cloudEvents:id"
KEY_HEADER = "cloudEvents:type"

MAX_RETRY_SECONDS = 10.0
"""The longest pause between two attempts while a dependency is away."""

PAUSES = (0.1, 0.3, 1.0, 2.0)
"""Seconds between the five tries of an event whose handler fails."""

HANDLER_SECONDS = 60.0
"""How long one try may take. Whoever hangs would hold its delivery, and a place of the prefetch, for ever."""

MAX_PAUSING = 25
"""How many deliveries of a queue may pause at once: half of those held, so that others get through."""


class HandlerTooSlow(Exception):
    """A handler did not come to an end. Calls to a dependency that is away have limits of their own."""


class UnknownEvent(Exception):
    """A delivery that no event model describes."""


def is_transient(error: Exception) -> bool:
    """Tell whether a dependency was away, so that the same work will succeed later."""
    if isinstance(error, ChatError):
        return error.retryable
    if isinstance(error, PyMongoError):
        return isinstance(error, ConnectionFailure) or error.timeout
    return isinstance(error, RedisConnectionError | RedisTimeoutError | TimeoutError | OSError)


@dataclass(slots=True)
class Consumer:
    """Handles the deliveries of one queue."""

    queue: str
    handler: Handler
    in_order: bool = False
    """Handle one delivery at a time, oldest first (a lock is fair)."""
    deliveries: int = 0
    """How many there were."""
    in_flight: int = 0
    """How many of them are not settled."""
    _pausing: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, message: AbstractIncomingMessage) -> None:
        """Handle one delivery and settle it; a delivery is acknowledged only after its effect."""
        set_request_id(_header(message, REQUEST_ID_HEADER))
        self.deliveries += 1
        self.in_flight += 1
        try:
            outcome = await self._settle(message)
        except Exception as error:
            # The channel is gone, so this settles nothing: the broker delivers the message again.
            log.info("delivery not settled", queue=self.queue, error=repr(error))
            outcome = "unsettled"
        finally:
            self.in_flight -= 1
        EVENTS_CONSUMED.labels(self.queue, outcome).inc()

    async def _settle(self, message: AbstractIncomingMessage) -> str:
        try:
            event = parse_event(event_key(message, self.queue), message.body)
        except (UnknownEvent, ValidationError) as error:
            log.error("event set aside: it has the wrong form", queue=self.queue, error=type(error).__name__)
            await message.reject(requeue=False)
            return "invalid"
        try:
            await self._handle(event)
        except Exception as error:
            log.error(
                "event set aside: its handler fails",
                queue=self.queue,
                event_id=event.event_id,
                exc_info=error,
            )
            await message.reject(requeue=False)
            return "failed"
        await message.ack()
        return "done"

    async def _handle(self, event: Event) -> None:
        if self.in_order:
            async with self._turn:
                await self._try_repeatedly(event)
        else:
            await self._try_repeatedly(event)

    async def _try_repeatedly(self, event: Event) -> None:
        """Handle an event; raise what the last of five tries raised."""
        for pause in PAUSES:
            try:
                return await self._handle_when_possible(event)
            except Exception as error:
                log.warning(
                    "event will be tried again",
                    queue=self.queue,
                    event_id=event.event_id,
                    error=repr(error)[:200],
                )
            await self._pause(pause)
        return await self._handle_when_possible(event)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try, unless others wait for this one or too many wait already."""
        if self.in_order or self._pausing >= MAX_PAUSING:
            return
        self._pausing += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._pausing -= 1

    async def _handle_when_possible(self, event: Event) -> None:
        """Try again as long as a dependency is away: an outage must not use up the tries."""
        pause = 0.1
        while True:
            try:
                return await self._handle_in_time(event)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("event waits for a dependency", queue=self.queue, error=repr(error)[:200])
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_RETRY_SECONDS)

    async def _handle_in_time(self, event: Event) -> None:
        limit = asyncio.timeout(HANDLER_SECONDS)
        try:
            async with limit:
                await self.handler(event)
        except TimeoutError as error:
            if limit.expired():
                raise HandlerTooSlow from error
            raise


def event_key(message: AbstractIncomingMessage, queue: str) -> str:
    """Return the key of the event in a delivery; a replayed one is addressed to its queue instead."""
    if message.routing_key == queue:
        return _header(message, KEY_HEADER) or ""
    return message.routing_key or ""


def parse_event(key: str, body: bytes) -> Event:
    """Return the event in a delivery.

    Raises:
        UnknownEvent: no event has this routing key.
        ValidationError: the body is not of the event's form.
    """
    model = EVENTS.get(key)
    if model is None:
        raise UnknownEvent(key)
    return model.model_validate_json(body)


def _header(message: AbstractIncomingMessage, name: str) -> str | None:
    value = message.headers.get(name)
    return value if isinstance(value, str) else None
