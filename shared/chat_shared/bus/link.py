"""One connection to RabbitMQ: when any part of it breaks, the whole of it is made anew."""

import asyncio
from collections.abc import Awaitable, Callable

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPException
from yarl import URL

from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet, is_cancelled
from chat_shared.logging import get_logger
from chat_shared.metrics import BUS_REBUILDS

log = get_logger(__name__)

CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 5
"""A broker is given up after about three of them: with the usual 60 a listener would be deaf for minutes."""
MAX_BACKOFF_SECONDS = 3.0

CONNECTION_ERRORS = (AMQPException, OSError, TimeoutError, RuntimeError)


async def connect(url: str, name: str) -> AbstractConnection:
    """Return a new connection that notices a silent broker.

    Args:
        url: heartbeat and other parameters in its query win over ours.
        name: what the broker shows as the connection's name.

    Raises:
        AMQPException, OSError, TimeoutError: it cannot be had.
    """
    address = URL(url)
    return await aio_pika.connect(
        address.with_query({"heartbeat": str(HEARTBEAT_SECONDS), **address.query}),
        timeout=CONNECT_SECONDS,
        client_properties={"connection_name": name},
    )


class Link:
    """Keeps one connection standing.

    It is a plain one: after a reconnect there is nothing half restored, and nobody waits inside the library
    for a broker that is away.
    """

    def __init__(
        self,
        url: str,
        name: str,
        set_up: Callable[[], Awaitable[None]],
        tear_down: Callable[[], None] = lambda: None,
    ) -> None:
        """Args:
        set_up: called on each new connection; opens channels with `open_channel`.
        tear_down: called when the connection is given up.
        """
        self._url = url
        self._name = name
        self._set_up = set_up
        self._tear_down = tear_down
        self._connection: AbstractConnection | None = None
        self._broken = asyncio.Event()
        self._tasks = TaskSet()
        self.is_up = False
        """Whether the connection stands and is set up."""

    async def start(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        self._tasks.spawn(self._stay_connected(), name="bus-link")

    async def stop(self) -> None:
        """Close the connection for good."""
        await self._tasks.cancel()
        await self._disconnect()

    def rebuild(self, reason: str) -> None:
        """Give up a connection that looks alive and is of no use; `reason` is counted."""
        if self.is_up and not self._broken.is_set():
            log.warning("rabbitmq connection is made anew", link=self._name, reason=reason)
            BUS_REBUILDS.labels(reason).inc()
            self._broken.set()
            self._put_out_of_use()

    async def open_channel(self) -> AbstractChannel:
        """Open a channel whose end is the end of the connection.

        Raises:
            Unavailable: there is no connection.
            AMQPException, OSError: it broke.
        """
        channel = await self.open_scratch_channel()
        broken = self._broken
        channel.close_callbacks.add(lambda *_: broken.set())
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _frame: self._consumer_cancelled(broken))
        return channel

    def _consumer_cancelled(self, broken: asyncio.Event) -> None:
        """The broker takes no consumer back by itself: a queue that failed over would stay unread."""
        if broken is self._broken and not broken.is_set():
            BUS_REBUILDS.labels("cancelled_consumer").inc()
        broken.set()

    async def open_scratch_channel(self) -> AbstractChannel:
        """Open a channel that may break without consequence.

        Raises:
            Unavailable: there is no connection.
            AMQPException, OSError: it broke.
        """
        if self._connection is None:
            raise Unavailable("RabbitMQ is not connected")
        return await self._connection.channel(publisher_confirms=True, on_return_raises=True)

    async def _stay_connected(self) -> None:
        backoff = 0.2
        while True:
            try:
                broken = await self._connect()
                backoff = 0.2
                await broken.wait()
                log.warning("rabbitmq connection lost", link=self._name)
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                log.warning("rabbitmq connection was given up while it was set up", link=self._name)
            except Exception as error:  # whatever it is: nothing here may end the attempts
                log.warning("rabbitmq is not reachable", link=self._name, error=repr(error)[:200])
            await self._disconnect()
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _connect(self) -> asyncio.Event:
        """Connect and set up; return the event that is set when any part of it breaks."""
        broken = self._broken = asyncio.Event()
        async with asyncio.timeout(CONNECT_SECONDS * 4):
            self._connection = await connect(self._url, self._name)
            self._connection.close_callbacks.add(lambda *_: broken.set())
            await self._set_up()
        self.is_up = True
        return broken

    async def _disconnect(self) -> None:
        self._put_out_of_use()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.close()
            except CONNECTION_ERRORS:
                pass  # it is of no use any more
            except asyncio.CancelledError:
                if is_cancelled():
                    raise

    def _put_out_of_use(self) -> None:
        self.is_up = False
        self._tear_down()
