"""The connection to RabbitMQ: connects, declares, consumes, publishes, and starts over when it breaks."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPException, DeliveryError
from yarl import URL

from chat_shared.bus.consumer import Consumer, Handler
from chat_shared.bus.topology import AWAITED_KEYS, EXCHANGE, declare_topology
from chat_shared.contracts.base import format_timestamp
from chat_shared.contracts.events import Event
from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.metrics import EVENTS_PUBLISHED
from chat_shared.request_context import REQUEST_ID_HEADER, request_id

log = get_logger(__name__)

CONNECT_SECONDS = 5.0
CONFIRM_SECONDS = 5.0
HEARTBEAT_SECONDS = 5
"""A broker is given up after about three of them: with the usual 60 a listener would be deaf for minutes."""
PREFETCH = 50
MAX_BACKOFF_SECONDS = 5.0

_CONNECTION_ERRORS = (AMQPException, OSError, TimeoutError, RuntimeError)


GapHandler = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Listener:
    """A queue of this process alone, gone with its connection."""

    keys: tuple[str, ...]
    consumer: Consumer
    on_gap: GapHandler


class Bus:
    """Publishes events and brings events in.

    The connection is a plain one that we rebuild as a whole when any part of it breaks: after a
    reconnect there is nothing half restored, and a publish never waits for a broker that is away.
    """

    def __init__(self, url: str, *, source: str) -> None:
        """`source`: the service that speaks, as events name it."""
        self._url = url
        self._source = source
        self._consumers: list[Consumer] = []
        self._listeners: list[_Listener] = []
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._tasks = TaskSet()

    def consume(self, queue: str, handler: Handler) -> None:
        """Share the work of a durable queue of the topology with the other processes of this service.

        An event comes at least once; `handler` has to be idempotent. While a dependency is away the
        delivery is retried in place; another failure gives it back, and the fifth sets it aside.
        """
        self._consumers.append(Consumer(queue, handler))

    def listen(self, keys: Iterable[str], handler: Handler, on_gap: GapHandler) -> None:
        """Bring every matching event to this very process, in order, while it is connected.

        `on_gap` runs whenever the subscription stands anew: events may have been missed before it.
        """
        name = f"{self._source}.listener"
        self._listeners.append(_Listener(tuple(keys), Consumer(name, handler, in_order=True), on_gap))

    async def start(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        self._tasks.spawn(self._stay_connected(), name="bus")

    async def stop(self) -> None:
        """Stop consuming and close the connection; what was not acknowledged is delivered again."""
        await self._tasks.cancel()
        await self._disconnect()

    @property
    def is_connected(self) -> bool:
        """Whether events can be published right now."""
        return self._exchange is not None

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
        except (DeliveryError, *_CONNECTION_ERRORS) as error:
            raise Unavailable("RabbitMQ did not confirm in time") from error
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
                "cloudEvents:id": event.event_id,
                "cloudEvents:type": event.key,
                "cloudEvents:source": self._source,
                "cloudEvents:time": format_timestamp(event.occurred_at),
                REQUEST_ID_HEADER: request_id(),
            },
        )
        await exchange.publish(message, event.key, mandatory=event.key in AWAITED_KEYS)

    async def _stay_connected(self) -> None:
        backoff = 0.2
        while True:
            try:
                broken = await self._connect()
                backoff = 0.2
                await broken.wait()
                log.warning("rabbitmq connection lost")
            except Exception as error:  # whatever it is: nothing here may end the attempts
                log.warning("rabbitmq is not reachable", error=repr(error)[:200])
            await self._disconnect()
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _connect(self) -> asyncio.Event:
        """Connect, declare, consume; return an event that is set when any part of it breaks."""
        broken = asyncio.Event()
        async with asyncio.timeout(CONNECT_SECONDS * 4):
            url = URL(self._url)
            self._connection = await aio_pika.connect(
                url.with_query({"heartbeat": str(HEARTBEAT_SECONDS), **url.query}),
                timeout=CONNECT_SECONDS,
                client_properties={"connection_name": self._source},
            )
            self._connection.close_callbacks.add(lambda *_: broken.set())
            publisher = await self._open_channel(broken)
            exchange = await declare_topology(publisher)
            if self._consumers or self._listeners:
                await self._subscribe(await self._open_channel(broken))
        self._exchange = exchange
        for listener in self._listeners:
            self._tasks.spawn(listener.on_gap(), name="bus-gap")
        return broken

    async def _open_channel(self, broken: asyncio.Event) -> AbstractChannel:
        assert self._connection is not None  # noqa: S101 - narrows the type; set by _connect
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        channel.close_callbacks.add(lambda *_: broken.set())
        return channel

    async def _subscribe(self, channel: AbstractChannel) -> None:
        await channel.set_qos(prefetch_count=PREFETCH)
        for consumer in self._consumers:
            queue = await channel.get_queue(consumer.queue, ensure=False)
            await queue.consume(consumer)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        for listener in self._listeners:
            queue = await channel.declare_queue(
                f"{self._source}.{uuid4().hex}", exclusive=True, auto_delete=True
            )
            for key in listener.keys:
                await queue.bind(exchange, key)
            await queue.consume(listener.consumer)

    async def _disconnect(self) -> None:
        self._exchange = None
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*_CONNECTION_ERRORS):
                async with asyncio.timeout(2):
                    await connection.close()
