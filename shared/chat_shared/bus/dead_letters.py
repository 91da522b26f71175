"""What consumers gave up on: count it, look at it, send it to work again, or drop it.

Every step may be broken off at any moment, by a crash too: what was not settled is still a dead letter.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPException

from chat_shared.bus.bus import CONFIRM_SECONDS
from chat_shared.bus.consumer import EVENT_ID_HEADER, KEY_HEADER
from chat_shared.bus.link import connect
from chat_shared.bus.topology import DURABLE_QUEUES, dead_letter_queue, declare_topology
from chat_shared.bus.watch import queue_depth
from chat_shared.errors import Unavailable

#: How often, and how many seconds apart, to look whether messages given back are in their place again:
#: the next command has to find them.
GIVE_BACK_LOOKS = 100
GIVE_BACK_PAUSE_SECONDS = 0.02

_FAILURES = (AMQPException, OSError, TimeoutError)

#: What the broker adds when it moves or repeats a message; a new life starts without it.
_TRACES = ("x-death", "x-delivery-count", "x-first-death-", "x-last-death-", "x-acquired-count")


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full a work queue and its dead letters are."""

    queue: str
    waiting: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One event that was set aside."""

    id: str
    """The event's id; for what is no event of ours, a name made of its content."""
    key: str
    """The routing key it was published with."""
    reason: str
    """`rejected`: it has the wrong form or its handler failed; `delivery_limit`: its consumers died of it."""
    times: int
    """How often it was set aside."""
    died_at: datetime | None
    body: bytes


class DeadLetters:
    """The dead letters of all work queues of one broker. Use as an async context manager.

    Whatever the broker fails at within it leaves it as `Unavailable`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect; raises `Unavailable` when the broker cannot be reached."""
        try:
            self._connection = await connect(self._url, "dead letters")
            await declare_topology(self._open_channel)
        except _FAILURES as failure:
            raise _unavailable(failure) from failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            with suppress(*_FAILURES):
                await self._connection.close()
        if isinstance(error, _FAILURES):
            raise _unavailable(error) from error

    async def depths(self) -> list[QueueDepth]:
        """Return how full the queues are."""
        async with self._channel() as channel:
            return [
                QueueDepth(
                    queue,
                    await queue_depth(channel, queue),
                    await queue_depth(channel, dead_letter_queue(queue)),
                )
                for queue in DURABLE_QUEUES
            ]

    async def look(self, queue: str, limit: int) -> list[DeadLetter]:
        """Return at most `limit` dead letters of a queue, oldest first; they stay where they are."""
        async with self._channel() as channel, _Fetched(channel, queue) as fetched:
            return [_letter(message) async for message in fetched.messages(limit)]

    async def replay(self, queue: str, limit: int | None = None, event_ids: Collection[str] = ()) -> int:
        """Send dead letters to their work queue again and return how many.

        Each is confirmed there before it leaves the dead letters: nothing is lost in between, and at worst it
        is handled twice. What dies again meanwhile is left for the next time.

        Args:
            queue: the work queue.
            limit: at most so many.
            event_ids: only these; all when empty.
        """
        async with self._channel() as channel, _Fetched(channel, queue) as fetched:
            replayed = 0
            async for message in fetched.messages(None if event_ids else limit):
                if event_ids and _letter_id(message) not in event_ids:
                    continue
                await channel.default_exchange.publish(
                    _revived(message), queue, mandatory=True, timeout=CONFIRM_SECONDS
                )
                await fetched.settle(message)
                replayed += 1
                if replayed == limit:
                    break
            return replayed

    async def drop(self, queue: str, event_ids: Collection[str]) -> int:
        """Remove dead letters for good and return how many there were."""
        async with self._channel() as channel, _Fetched(channel, queue) as fetched:
            dropped = 0
            async for message in fetched.messages():
                if _letter_id(message) in event_ids:
                    await fetched.settle(message)
                    dropped += 1
            return dropped

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        channel = await self._open_channel()
        try:
            yield channel
        finally:
            await channel.close()

    async def _open_channel(self) -> AbstractChannel:
        if self._connection is None:
            raise RuntimeError("use it as a context manager")
        return await self._connection.channel(publisher_confirms=True, on_return_raises=True)


def _unavailable(failure: BaseException) -> Unavailable:
    # Not the text of the failure: it may hold the URL, and with it a password.
    return Unavailable(f"RabbitMQ cannot be reached or broke off ({type(failure).__name__})")


class _Fetched:
    """Messages taken out of the dead letters of a queue; those not settled go back to their place."""

    def __init__(self, channel: AbstractChannel, queue: str) -> None:
        self._channel = channel
        self._name = dead_letter_queue(queue)
        self._held: dict[int, None] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._give_back()

    async def messages(self, limit: int | None = None) -> AsyncIterator[AbstractIncomingMessage]:
        """Fetch what is there now, at most `limit`; what comes meanwhile is left alone."""
        there = await queue_depth(self._channel, self._name)
        dead = await self._channel.get_queue(self._name, ensure=False)
        for _ in range(there if limit is None else min(limit, there)):
            message = await dead.get(fail=False)
            if message is None:
                return
            self._held[_tag(message)] = None
            yield message

    async def settle(self, message: AbstractIncomingMessage) -> None:
        """Take a message out for good."""
        await message.ack()
        del self._held[_tag(message)]

    async def _give_back(self) -> None:
        """Give the rest back one by one: the end of the channel would do so in any order."""
        underlay = await self._channel.get_underlay_channel()
        for tag in self._held:
            await underlay.basic_nack(tag, requeue=True)
        for _ in range(GIVE_BACK_LOOKS):
            if await queue_depth(self._channel, self._name) >= len(self._held):
                return
            await asyncio.sleep(GIVE_BACK_PAUSE_SECONDS)


def _tag(message: AbstractIncomingMessage) -> int:
    assert message.delivery_tag is not None  # noqa: S101 - narrows the type; deliveries have one
    return message.delivery_tag


def _letter(message: AbstractIncomingMessage) -> DeadLetter:
    deaths = _deaths(message)
    latest = deaths[0] if deaths else {}
    return DeadLetter(
        id=_letter_id(message),
        key=_key(message),
        reason=_text(latest.get("reason")) or "unknown",
        times=sum(int(death.get("count", 1)) for death in deaths),
        died_at=_moment(latest.get("time")),
        body=message.body,
    )


def _letter_id(message: AbstractIncomingMessage) -> str:
    named = message.headers.get(EVENT_ID_HEADER) or message.message_id
    return _text(named) or f"body-{hashlib.sha256(message.body).hexdigest()[:16]}"


def _key(message: AbstractIncomingMessage) -> str:
    """Return the key of the event, as its publisher gave it or, failing that, as the broker remembers it."""
    named = _text(message.headers.get(KEY_HEADER))
    if named:
        return named
    return next((_text(key) for death in _deaths(message) for key in death.get("routing-keys", ())), "")


def _revived(message: AbstractIncomingMessage) -> aio_pika.Message:
    """Return the message as it was before it died; the queue is its address now, so a header has its key."""
    kept = {name: value for name, value in message.headers.items() if not name.startswith(_TRACES)}
    return aio_pika.Message(
        message.body,
        content_type=message.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        headers={**kept, KEY_HEADER: _key(message)},
    )


def _deaths(message: AbstractIncomingMessage) -> list[Mapping[str, Any]]:
    deaths = message.headers.get("x-death")
    return [death for death in deaths if isinstance(death, dict)] if isinstance(deaths, list) else []


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else None
