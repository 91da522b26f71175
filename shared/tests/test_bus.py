"""The bus on a real RabbitMQ: confirmed, at least once, set aside when hopeless, back after a crash."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
import pytest
from chat_local.stack import Stack
from chat_shared.bus import EXCHANGE, Bus, dead_letter_queue
from chat_shared.bus.topology import DELIVERY_LIMIT
from chat_shared.contracts.events import Event, RoomDeleted, SessionRevoked, UserDeleted
from chat_shared.errors import Unavailable
from chat_shared.ids import uuid7
from chat_shared.testing import eventually
from yarl import URL

QUEUE = "rooms.accounts"
USER = "1" * 24


class Inbox:
    """A handler that remembers what it was given, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self.handled: list[str] = []
        self.failure: Exception | None = None

    async def handle(self, event: Event) -> None:
        self.attempts.append(event.event_id)
        if self.failure is not None:
            raise self.failure
        self.handled.append(event.event_id)


async def _nothing() -> None:
    return None


OpenBus = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def open_bus(backing: Stack) -> AsyncIterator[OpenBus]:
    """Connects buses and closes them after the test."""
    opened: list[Bus] = []

    async def connect(prepare: Callable[[Bus], None] = lambda _bus: None) -> Bus:
        bus = Bus(backing.amqp_url, source="test")
        prepare(bus)
        await bus.start()
        opened.append(bus)
        await eventually(lambda: bus.is_connected, timeout=20)
        return bus

    yield connect
    for bus in opened:
        await bus.stop()


@asynccontextmanager
async def channel(backing: Stack) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    connection = await aio_pika.connect(backing.amqp_url)
    async with connection:
        yield await connection.channel()


async def drain(backing: Stack, queue: str) -> list[bytes]:
    """Take all messages out of a queue."""
    async with channel(backing) as open_channel:
        source = await open_channel.get_queue(queue)
        bodies = []
        while (message := await source.get(fail=False, no_ack=True)) is not None:
            bodies.append(message.body)
        return bodies


@pytest.fixture(autouse=True)
async def empty_queues(open_bus: OpenBus, backing: Stack) -> None:
    await open_bus()
    for queue in (QUEUE, dead_letter_queue(QUEUE)):
        await drain(backing, queue)


def deletion() -> UserDeleted:
    return UserDeleted(user_id=USER)


async def test_an_event_waits_for_a_consumer_that_was_never_started(open_bus: OpenBus) -> None:
    event, inbox = deletion(), Inbox()
    await (await open_bus()).publish([event])
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await eventually(lambda: inbox.handled == [event.event_id])


async def test_two_processes_share_the_work(open_bus: OpenBus) -> None:
    inboxes = [Inbox(), Inbox()]
    for inbox in inboxes:
        await open_bus(lambda bus, inbox=inbox: bus.consume(QUEUE, inbox.handle))
    events = [deletion() for _ in range(40)]
    await (await open_bus()).publish(events)
    await eventually(lambda: sum(len(inbox.handled) for inbox in inboxes) == 40)
    assert sorted(inboxes[0].handled + inboxes[1].handled) == sorted(event.event_id for event in events)
    assert all(inbox.handled for inbox in inboxes)


async def test_every_listener_hears_everything_in_order(open_bus: OpenBus) -> None:
    inboxes = [Inbox(), Inbox()]
    for inbox in inboxes:
        await open_bus(lambda bus, inbox=inbox: bus.listen([SessionRevoked.key], inbox.handle, _nothing))
    events = [SessionRevoked(user_id=USER, session_ids=[uuid7()], reason="logout") for _ in range(60)]
    publisher = await open_bus()
    for event in events:
        await publisher.publish([event])
    for inbox in inboxes:
        await eventually(lambda inbox=inbox: inbox.handled == [event.event_id for event in events])


async def test_a_handler_that_always_fails_sets_the_event_aside(open_bus: OpenBus, backing: Stack) -> None:
    inbox, event, later = Inbox(), deletion(), deletion()
    inbox.failure = ValueError("a bug")
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish([event])
    dead = await eventually(lambda: drain(backing, dead_letter_queue(QUEUE)), timeout=10)
    assert event.event_id.encode() in dead[0]
    assert 2 <= inbox.attempts.count(event.event_id) <= DELIVERY_LIMIT + 1
    inbox.failure = None
    await bus.publish([later])
    await eventually(lambda: inbox.handled == [later.event_id])


async def test_an_outage_behind_the_handler_uses_up_nothing(open_bus: OpenBus, backing: Stack) -> None:
    inbox, event = Inbox(), deletion()
    inbox.failure = Unavailable()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish([event])
    await eventually(lambda: len(inbox.attempts) >= 5)
    inbox.failure = None
    await eventually(lambda: inbox.handled == [event.event_id])
    assert await drain(backing, dead_letter_queue(QUEUE)) == []


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b'{"userId": {"$ne": ""}}'])
async def test_what_is_no_event_is_set_aside_at_once(open_bus: OpenBus, backing: Stack, body: bytes) -> None:
    inbox = Inbox()
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    async with channel(backing) as open_channel:
        exchange = await open_channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(body), UserDeleted.key)
    assert await eventually(lambda: drain(backing, dead_letter_queue(QUEUE)), timeout=10) == [body]
    assert inbox.attempts == []


async def test_publishing_without_a_broker_fails_at_once() -> None:
    bus = Bus("amqp://guest:guest@127.0.0.1:9/", source="test")
    await bus.start()
    async with asyncio.timeout(1):
        with pytest.raises(Unavailable):
            await bus.publish([deletion()])
    await bus.stop()


async def test_the_broker_is_killed_and_comes_back(open_bus: OpenBus, backing: Stack) -> None:
    """Confirmed events survive; consumers and listeners stand again; listeners learn of the gap."""
    inbox, live = Inbox(), Inbox()
    gaps: list[bool] = []

    async def note_gap() -> None:
        gaps.append(True)

    def prepare(bus: Bus) -> None:
        bus.consume(QUEUE, inbox.handle)
        bus.listen([RoomDeleted.key], live.handle, note_gap)

    publisher = await open_bus()
    kept = deletion()
    await publisher.publish([kept])
    backing.process("rabbitmq").kill()
    await eventually(lambda: not publisher.is_connected, timeout=10)
    await backing.process("rabbitmq").wait_ready(60)
    consumer = await open_bus(prepare)
    await eventually(lambda: inbox.handled == [kept.event_id], timeout=20)

    backing.process("rabbitmq").kill()
    await eventually(lambda: not consumer.is_connected, timeout=10)
    await backing.process("rabbitmq").wait_ready(60)
    await eventually(lambda: consumer.is_connected and publisher.is_connected, timeout=30)
    room = RoomDeleted(room_id="2" * 24, rev=1)
    later = deletion()
    await publisher.publish([room, later])
    await eventually(lambda: live.handled == [room.event_id] and later.event_id in inbox.handled, timeout=10)
    assert len(gaps) == 2


async def test_a_silent_broker_is_given_up(backing: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that swallows everything closes no connection; a listener would be deaf and not know it."""
    monkeypatch.setattr("chat_shared.bus.bus.HEARTBEAT_SECONDS", 1)
    broker, writers = URL(backing.amqp_url), []
    silent = False

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not silent:
                writer.write(data)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_broker = await asyncio.open_connection(broker.host, broker.port)
        writers.extend([writer, to_broker[1]])
        await asyncio.gather(pump(reader, to_broker[1]), pump(to_broker[0], writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        bus = Bus(str(broker.with_host("127.0.0.1").with_port(port)), source="test")
        await bus.start()
        await eventually(lambda: bus.is_connected, timeout=20)
        silent = True
        await eventually(lambda: not bus.is_connected, timeout=15)
        await bus.stop()
        for writer in writers:
            writer.transport.abort()
