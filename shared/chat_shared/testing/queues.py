"""Queues of a real broker, as tests fill and empty them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy

import aio_pika
from aio_pika.abc import AbstractChannel

from chat_shared.bus import Bus, dead_letter_queue
from chat_shared.contracts.events import Event
from chat_shared.testing.waiting import eventually


class Inbox:
    """A handler that remembers what it was given, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.handled: list[str] = []
        self.failure: Exception | None = None
        self.fails_at: frozenset[str] | None = None
        """Which events it fails at; None means all."""

    async def handle(self, event: Event) -> None:
        """Take an event, or raise."""
        self.attempts.append(event.event_id)
        if self.failure is not None and (self.fails_at is None or event.event_id in self.fails_at):
            raise copy(self.failure)  # a fresh one: its traceback would grow with each attempt
        self.handled.append(event.event_id)


@asynccontextmanager
async def open_channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    """Open a channel on a connection of its own."""
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        yield await connection.channel()


async def drain(amqp_url: str, queue: str) -> list[bytes]:
    """Take all messages out of a queue and return their bodies."""
    async with open_channel(amqp_url) as channel:
        source = await channel.get_queue(queue)
        bodies = []
        while (message := await source.get(fail=False, no_ack=True)) is not None:
            bodies.append(message.body)
        return bodies


async def depth(amqp_url: str, queue: str) -> int:
    """Return how many messages wait in a queue."""
    async with open_channel(amqp_url) as channel:
        declared = await channel.declare_queue(queue, passive=True)
        return declared.declaration_result.message_count or 0


async def set_aside(amqp_url: str, bus: Bus, queue: str, events: Sequence[Event]) -> None:
    """Publish events to a queue that nobody reads, and turn them into dead letters."""
    await bus.publish(events)
    async with open_channel(amqp_url) as channel:
        source = await channel.get_queue(queue)
        for _ in events:
            message = await source.get(timeout=5)
            await message.reject(requeue=False)

    async def all_there() -> bool:
        return await depth(amqp_url, dead_letter_queue(queue)) >= len(events)

    await eventually(all_there, timeout=15, what="the dead letters")
