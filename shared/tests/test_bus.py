"""The bus on a real RabbitMQ: confirmed, at least once, set aside when hopeless, back after a crash."""

import asyncio
from collections.abc import Awaitable, Callable

import aio_pika
import pytest
from chat_faults.network import Links
from chat_local.stack import Stack
from chat_shared.bus import EXCHANGE, Bus, dead_letter_queue
from chat_shared.bus.bus import PREFETCH
from chat_shared.bus.consumer import PAUSES
from chat_shared.contracts.events import Event, RoomDeleted, SessionRevoked, UserDeleted
from chat_shared.errors import Unavailable
from chat_shared.ids import uuid7
from chat_shared.testing import eventually
from chat_shared.testing.queues import Inbox, drain, open_channel
from yarl import URL

TRIES = len(PAUSES) + 1
OpenBus = Callable[..., Awaitable[Bus]]

QUEUE = "rooms.accounts"
USER = "1" * 24


async def _nothing() -> None:
    return None


def deletion() -> UserDeleted:
    return UserDeleted(user_id=USER)


def revocation() -> SessionRevoked:
    return SessionRevoked(user_id=USER, session_ids=[uuid7()], reason="logout")


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
    events = [revocation() for _ in range(60)]
    publisher = await open_bus()
    for event in events:
        await publisher.publish([event])
    for inbox in inboxes:
        await eventually(lambda inbox=inbox: inbox.handled == [event.event_id for event in events])


async def test_a_handler_that_always_fails_sets_the_event_aside(open_bus: OpenBus, backing: Stack) -> None:
    """Five tries within ten seconds, and nobody else waits for that."""
    inbox, poison = Inbox(), deletion()
    inbox.failure, inbox.fails_at = ValueError("a bug"), frozenset({poison.event_id})
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish([poison])
    await eventually(lambda: poison.event_id in inbox.attempts)
    while inbox.attempts.count(poison.event_id) < TRIES:
        other = deletion()
        await bus.publish([other])
        await eventually(lambda other=other: other.event_id in inbox.handled, timeout=1)
    dead = await eventually(lambda: drain(backing.amqp_url, dead_letter_queue(QUEUE)), timeout=10)
    assert poison.event_id.encode() in dead[0]
    assert inbox.attempts.count(poison.event_id) == TRIES


async def test_a_handler_that_hangs_sets_the_event_aside(
    open_bus: OpenBus, backing: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_shared.bus.consumer.HANDLER_SECONDS", 0.2)
    monkeypatch.setattr("chat_shared.bus.consumer.PAUSES", (0.0,) * len(PAUSES))
    inbox, poison, other = Inbox(), deletion(), deletion()

    async def hang(event: Event) -> None:
        await inbox.handle(event)
        if event.event_id == poison.event_id:
            await asyncio.Event().wait()

    bus = await open_bus(lambda bus: bus.consume(QUEUE, hang))
    await bus.publish([poison, other])
    dead = await eventually(lambda: drain(backing.amqp_url, dead_letter_queue(QUEUE)), timeout=10)
    assert poison.event_id.encode() in dead[0]
    assert inbox.attempts.count(poison.event_id) == TRIES
    assert inbox.attempts.count(other.event_id) == 1


async def test_many_that_fail_do_not_take_all_places(open_bus: OpenBus, backing: Stack) -> None:
    inbox, poison = Inbox(), [deletion() for _ in range(3 * PREFETCH)]
    inbox.failure = ValueError("a bug")
    inbox.fails_at = frozenset(event.event_id for event in poison)
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    other = deletion()
    await bus.publish([*poison, other])
    await eventually(lambda: other.event_id in inbox.handled, timeout=1.5)
    dead: list[bytes] = []

    async def all_dead() -> bool:
        dead.extend(await drain(backing.amqp_url, dead_letter_queue(QUEUE)))
        return len(dead) >= len(poison)

    await eventually(all_dead, timeout=15)
    assert len(inbox.attempts) == TRIES * len(poison) + 1


async def test_a_listener_goes_on_after_an_event_that_it_fails_at(open_bus: OpenBus) -> None:
    inbox, poison, later = Inbox(), revocation(), revocation()
    inbox.failure, inbox.fails_at = ValueError("a bug"), frozenset({poison.event_id})
    bus = await open_bus(lambda bus: bus.listen([SessionRevoked.key], inbox.handle, _nothing))
    await bus.publish([poison])
    await bus.publish([later])
    await eventually(lambda: inbox.handled == [later.event_id], timeout=1)


async def test_a_queue_of_an_earlier_version_is_used_as_it_is(open_bus: OpenBus, backing: Stack) -> None:
    """The arguments of a queue cannot change, and an upgrade must not cut a service off from its work."""
    async with open_channel(backing.amqp_url) as channel:
        await channel.queue_delete(QUEUE)
        older = {"x-queue-type": "quorum", "x-delivery-limit": 3}
        await channel.declare_queue(QUEUE, durable=True, arguments=older)
    inbox, event = Inbox(), deletion()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish([event])
    await eventually(lambda: inbox.handled == [event.event_id])
    async with open_channel(backing.amqp_url) as channel:
        await channel.queue_delete(QUEUE)


async def test_an_outage_behind_the_handler_uses_up_nothing(open_bus: OpenBus, backing: Stack) -> None:
    inbox, event = Inbox(), deletion()
    inbox.failure = Unavailable()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish([event])
    await eventually(lambda: len(inbox.attempts) >= 5)
    inbox.failure = None
    await eventually(lambda: inbox.handled == [event.event_id])
    assert await drain(backing.amqp_url, dead_letter_queue(QUEUE)) == []


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b'{"userId": {"$ne": ""}}'])
async def test_what_is_no_event_is_set_aside_at_once(open_bus: OpenBus, backing: Stack, body: bytes) -> None:
    inbox = Inbox()
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    async with open_channel(backing.amqp_url) as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(body), UserDeleted.key)
    assert await eventually(lambda: drain(backing.amqp_url, dead_letter_queue(QUEUE)), timeout=10) == [body]
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


async def test_a_silent_broker_is_given_up(
    open_bus: OpenBus, backing: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that swallows everything closes no connection; a listener would be deaf and not know it."""
    monkeypatch.setattr("chat_shared.bus.link.HEARTBEAT_SECONDS", 1)
    broker = URL(backing.amqp_url)
    async with Links("bus") as links:
        port = await links.open("broker", int(broker.port or 0))
        bus = await open_bus(url=str(broker.with_port(port)))
        await links.set("broker", hole_up=True, hole_down=True)
        await eventually(lambda: not bus.is_connected, timeout=15)
