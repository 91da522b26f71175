"""Looks at the queues of a service now and then: how full they are, and whether they are read at all.

A consumer can be lost without an error: a library that does not resume it after a break, a broker that
forgot it when a queue failed over. The connection looks alive then, and nothing comes any more.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPException

from chat_shared.bus.consumer import Consumer
from chat_shared.bus.topology import DURABLE_QUEUES, dead_letter_queue
from chat_shared.logging import get_logger
from chat_shared.metrics import DEAD_LETTERS, QUEUE_WAITING

log = get_logger(__name__)

LOOK_SECONDS = 15.0
ANSWER_SECONDS = 5.0
SILENT_SECONDS = 30.0
"""How long a queue that is not empty may bring nothing to a consumer that could take more."""


@dataclass(slots=True)
class _Watched:
    """A consumer, and since when its queue looked forsaken."""

    queue: str
    consumer: Consumer
    deliveries: int = 0
    silent_since: float | None = None

    def is_forsaken(self, waiting: int, prefetch: int, now: float) -> bool:
        """Tell whether deliveries should have come for too long; call it after each look at the queue."""
        quiet = self.consumer.deliveries == self.deliveries and self.consumer.in_flight < prefetch
        self.deliveries = self.consumer.deliveries
        if waiting == 0 or not quiet:
            self.silent_since = None
            return False
        self.silent_since = self.silent_since or now
        return now - self.silent_since >= SILENT_SECONDS


class QueueWatch:
    """Watches the queues behind one connection."""

    def __init__(
        self, channel: AbstractChannel, consumers: Sequence[tuple[str, Consumer]], prefetch: int
    ) -> None:
        """Args:
        channel: an own one, used for nothing else.
        consumers: name of a queue on the broker, and who consumes it.
        prefetch: how many deliveries each of them holds at most.
        """
        self._channel = channel
        self._watched = [_Watched(queue, consumer, consumer.deliveries) for queue, consumer in consumers]
        self._prefetch = prefetch

    async def run(self, give_up: Callable[[str], None]) -> None:
        """Look again and again; call `give_up` with the reason, and end, when the connection is of no use."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    forsaken = [watched.queue for watched in self._watched if await self._look(watched)]
            except (AMQPException, OSError, RuntimeError, TimeoutError) as error:
                log.warning("queues could not be looked at", error=repr(error)[:200])
                return give_up("no_answer")
            if forsaken:
                log.error("queues are not empty and bring nothing", queues=forsaken)
                return give_up("silent_consumer")

    async def _look(self, watched: _Watched) -> bool:
        waiting = await self._depth(watched.queue)
        if watched.queue in DURABLE_QUEUES:
            QUEUE_WAITING.labels(watched.queue).set(waiting)
            DEAD_LETTERS.labels(watched.queue).set(await self._depth(dead_letter_queue(watched.queue)))
        return watched.is_forsaken(waiting, self._prefetch, time.monotonic())

    async def _depth(self, queue: str) -> int:
        return await queue_depth(self._channel, queue)


async def queue_depth(channel: AbstractChannel, queue: str) -> int:
    """Return how many messages of a queue wait for a consumer; those given out are not counted.

    Raises:
        ChannelNotFoundEntity: there is no such queue; the channel is closed then.
    """
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0
