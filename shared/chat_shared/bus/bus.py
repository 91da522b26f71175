"""What services use of RabbitMQ: publish with a confirm, share work, hear what happens."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import DeliveryError

from chat_shared.bus.consumer import EVENT_ID_HEADER, KEY_HEADER, Consumer, Handler
from chat_shared.bus.link import CONNECTION_ERRORS, Link
from chat_shared.bus.topology import AWAITED_KEYS, EXCHANGE, declare_topology
from chat_shared.bus.watch import QueueWatch
from chat_shared.contracts.base import format_timestamp
from chat_shared.contracts.events import Event
from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet, is_cancelled
from chat_shared.metrics import EVENTS_PUBLISHED
from chat_shared.request_context import REQUEST_ID_HEADER, request_id

CONFIRM_SECONDS = 5.0
PREFETCH = 50

GapHandler = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Listener:
    """A queue of this process alone, gone with its connection."""

    keys: tuple[str, ...]
    consumer: Consumer
    on_gap: GapHandler


class Bus:
    """Publishes events and brings events in.

    Each direction has a connection of its own: a broker that is short of memory stops reading from those
    that publish, and acknowledgements must not wait behind that.
    """

    def __init__(self, url: str, *, source: str) -> None:
        """`source`: the service that speaks, as events name it."""
        self._source = source
        self._consumers: list[Consumer] = []
        self._listeners: list[_Listener] = []
        self._exchange: AbstractExchange | None = None
        self._publishing = Link(url, source, self._set_up_publishing, self._end_publishing)
        self._consuming = Link(url, f"{source} consumers", self._set_up_consuming, self._end_watch)
        self._watch: asyncio.Task[None] | None = None
        self._tasks = TaskSet()

    def consume(self, queue: str, handler: Handler) -> None:
        """Share the work of a durable queue of the topology with the other processes of this service.

        An event comes at least once; `handler` has to be idempotent. While a dependency is away the
        delivery is retried in place; another failure is tried five times in all, then the event is set aside.
        """
        self._consumers.append(Consumer(queue, handler))

    def listen(self, keys: Iterable[str], handler: Handler, on_gap: GapHandler) -> None:
        """Bring every matching event to this very process, in order, while it is connected.

        `on_gap` runs whenever the subscription stands anew: events may have been missed before it.
        """
        name = f"{self._source}.listener"
        self._listeners.append(_Listener(tuple(keys), Consumer(name, handler, in_order=True), on_gap))

    async def start(self) -> None:
        """Connect in the background, and again whenever a connection is lost."""
        for link in self._links():
            await link.start()

    async def stop(self) -> None:
        """Stop consuming and close the connections; what was not acknowledged is delivered again."""
        await asyncio.gather(*(link.stop() for link in self._links()))
        await self._tasks.cancel()

    def _links(self) -> list[Link]:
        consumes = bool(self._consumers or self._listeners)
        return [self._publishing, self._consuming] if consumes else [self._publishing]

    @property
    def is_connected(self) -> bool:
        """Whether events can be published, and those that this process waits for arrive."""
        return all(link.is_up for link in self._links())

    async def check(self) -> None:
        """Raise `Unavailable` unless RabbitMQ is connected."""
        if not self.is_connected:
            raise Unavailable("RabbitMQ is not connected")

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish and return when the broker has confirmed all of them durably.

        Raises:
            Unavailable: not confirmed within five seconds; some may have arrived all the same.
        """
        exchange = self._exchange
        if exchange is None:
            raise Unavailable("RabbitMQ is not connected")
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await asyncio.gather(*(self._publish_one(exchange, event) for event in events))
        except TimeoutError as error:
            self._publishing.rebuild("unconfirmed_publish")
            raise Unavailable("RabbitMQ did not confirm in time") from error
        except (DeliveryError, *CONNECTION_ERRORS) as error:
            raise Unavailable("RabbitMQ did not take the events") from error
        except asyncio.CancelledError as error:
            # The library cancels who waits for a connection that we close. It must not end its caller's task.
            if is_cancelled():
                raise
            raise Unavailable("The connection to RabbitMQ was closed") from error
        for event in events:
            EVENTS_PUBLISHED.labels(event.key).inc()

    async def _publish_one(self, exchange: AbstractExchange, event: Event) -> None:
        message = aio_pika.Message(
            event.model_dump_json().encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.event_id,
            headers={
                "cloudEvents:specversion": "1.0",
                EVENT_ID_HEADER: event.event_id,
                KEY_HEADER: event.key,
                "cloudEvents:source": self._source,
                "cloudEvents:time": format_timestamp(event.occurred_at),
                REQUEST_ID_HEADER: request_id(),
            },
        )
        await exchange.publish(message, event.key, mandatory=event.key in AWAITED_KEYS)

    async def _set_up_publishing(self) -> None:
        channel = await self._publishing.open_channel()
        await declare_topology(self._publishing.open_scratch_channel)
        self._exchange = await channel.get_exchange(EXCHANGE, ensure=False)

    def _end_publishing(self) -> None:
        self._exchange = None

    async def _set_up_consuming(self) -> None:
        await declare_topology(self._consuming.open_scratch_channel)
        channel = await self._consuming.open_channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        consumed: list[tuple[str, Consumer]] = []
        for consumer in self._consumers:
            queue = await channel.get_queue(consumer.queue, ensure=False)
            await queue.consume(consumer)
            consumed.append((queue.name, consumer))
        for listener in self._listeners:
            queue = await channel.declare_queue(
                f"{self._source}.{uuid4().hex}", exclusive=True, auto_delete=True
            )
            for key in listener.keys:
                await queue.bind(EXCHANGE, key)
            await queue.consume(listener.consumer)
            consumed.append((queue.name, listener.consumer))
        watch = QueueWatch(await self._consuming.open_channel(), consumed, PREFETCH)
        self._watch = self._tasks.spawn(watch.run(self._consuming.rebuild), name="bus-watch")
        for listener in self._listeners:
            self._tasks.spawn(listener.on_gap(), name="bus-gap")

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
