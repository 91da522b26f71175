"""Links to a real RabbitMQ that look alive and are of no use: noticed, made anew, nothing lost or hung."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue
from chat_faults.network import Links
from chat_local.stack import Stack
from chat_shared.bus import Bus, dead_letter_queue
from chat_shared.bus.link import Link
from chat_shared.contracts.events import UserDeleted
from chat_shared.errors import Unavailable
from chat_shared.metrics import BUS_REBUILDS, DEAD_LETTERS, QUEUE_WAITING
from chat_shared.testing import eventually
from chat_shared.testing.queues import Inbox, depth, open_channel, set_aside
from yarl import URL

QUEUE = "rooms.accounts"
LINK = "broker"

OpenBus = Callable[..., Awaitable[Bus]]


def deletion() -> UserDeleted:
    return UserDeleted(user_id="1" * 24)


def rebuilds(reason: str) -> float:
    return BUS_REBUILDS.labels(reason)._value.get()


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if b"=" in entry)


async def set_memory_limit(backing: Stack, share: str) -> None:
    """Tell the broker which share of memory it may use; at 0 it blocks whoever publishes."""
    env = environment_of(backing.process("rabbitmq").pid)
    env.pop("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", None)
    process = await asyncio.create_subprocess_exec(
        *(f"{env['RABBITMQ_HOME']}/sbin/rabbitmqctl", "-n", env["RABBITMQ_NODENAME"]),
        *("set_vm_memory_high_watermark", share),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_shared.bus.watch.LOOK_SECONDS", 0.2)
    monkeypatch.setattr("chat_shared.bus.watch.SILENT_SECONDS", 1.0)


@pytest.fixture
def forgotten_consumers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The broker forgets the first consumer right after it began, and nobody is told."""
    forgotten: list[str] = []
    consume = aio_pika.Queue.consume

    async def consume_for_a_moment(queue: AbstractQueue, *args: object, **options: object) -> str:
        tag = await consume(queue, *args, **options)  # type: ignore[arg-type]
        if not forgotten:
            forgotten.append(tag)
            await queue.cancel(tag)
        return tag

    monkeypatch.setattr(aio_pika.Queue, "consume", consume_for_a_moment)
    return forgotten


@pytest.mark.usefixtures("impatient")
async def test_a_consumer_that_is_lost_in_silence_is_made_anew(
    open_bus: OpenBus, forgotten_consumers: list[str]
) -> None:
    before = rebuilds("silent_consumer")
    inbox, event = Inbox(), deletion()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    assert forgotten_consumers
    await bus.publish([event])
    await eventually(lambda: inbox.handled == [event.event_id], timeout=10)
    assert rebuilds("silent_consumer") == before + 1


@pytest.mark.usefixtures("impatient")
async def test_a_consumer_at_work_is_left_alone(open_bus: OpenBus) -> None:
    """While a dependency is away the consumer holds all it may, and more waits: that is not silence."""
    before = rebuilds("silent_consumer")
    inbox, events = Inbox(), [deletion() for _ in range(60)]
    inbox.failure = Unavailable()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await bus.publish(events)
    await eventually(lambda: max(map(inbox.attempts.count, inbox.attempts), default=0) >= 5, timeout=10)
    inbox.failure = None
    await eventually(lambda: len(inbox.handled) == 60, timeout=10)
    assert sorted(inbox.handled) == sorted(event.event_id for event in events)
    assert rebuilds("silent_consumer") == before


async def test_a_consumer_that_the_broker_cancels_is_made_anew(open_bus: OpenBus, backing: Stack) -> None:
    before = rebuilds("cancelled_consumer")
    inbox, event = Inbox(), deletion()
    bus = await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    async with open_channel(backing.amqp_url) as channel:
        await channel.queue_delete(QUEUE)
    await eventually(lambda: rebuilds("cancelled_consumer") == before + 1)
    await eventually(lambda: bus.is_connected, timeout=10)
    await bus.publish([event])
    await eventually(lambda: inbox.handled == [event.event_id], timeout=10)


@pytest.mark.usefixtures("impatient")
async def test_how_full_the_queues_are_is_known(open_bus: OpenBus, backing: Stack) -> None:
    publisher = await open_bus()
    await set_aside(backing.amqp_url, publisher, QUEUE, [deletion() for _ in range(3)])
    inbox = Inbox()
    inbox.failure = Unavailable()
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    await publisher.publish([deletion() for _ in range(57)])
    await eventually(lambda: DEAD_LETTERS.labels(QUEUE)._value.get() == 3)
    await eventually(lambda: QUEUE_WAITING.labels(QUEUE)._value.get() == 7)
    inbox.failure = None
    await eventually(lambda: QUEUE_WAITING.labels(QUEUE)._value.get() == 0, timeout=10)
    await eventually(lambda: len(inbox.handled) == 57, timeout=10)


async def test_a_connection_that_is_given_up_while_it_is_set_up_is_made_anew(backing: Stack) -> None:
    """A broker that freezes just then: the library cancels whoever waits for it."""
    tries = []

    async def set_up() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise asyncio.CancelledError

    link = Link(backing.amqp_url, "test", set_up)
    await link.start()
    try:
        await eventually(lambda: link.is_up, timeout=10)
    finally:
        await link.stop()
    assert tries == [0, 1]


async def test_a_lost_confirm_is_a_duplicate_at_worst(open_bus: OpenBus, backing: Stack) -> None:
    """The broker has the event and its confirm never comes: five seconds, then again on a new connection."""
    inbox, event = Inbox(), deletion()
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    broker = URL(backing.amqp_url)
    async with Links("bus") as links:
        port = await links.open(LINK, int(broker.port or 0))
        publisher = await open_bus(url=str(broker.with_port(port)))
        await links.set(LINK, hole_down=True)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await publisher.publish([event])
        assert 4.5 < time.monotonic() - began < 6
        await eventually(lambda: inbox.handled == [event.event_id])
        await links.set(LINK)
        await eventually(lambda: publisher.is_connected, timeout=10)
        await publisher.publish([event])
        await eventually(lambda: inbox.handled == [event.event_id] * 2)


async def test_who_publishes_when_the_connection_is_given_up_can_go_on(
    open_bus: OpenBus, backing: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library answers with a cancellation, which would end a relay for good."""
    broker = URL(backing.amqp_url)
    async with Links("bus") as links:
        port = await links.open(LINK, int(broker.port or 0))
        publisher = await open_bus(url=str(broker.with_port(port)))
        await links.set(LINK, hole_up=True, hole_down=True)
        monkeypatch.setattr("chat_shared.bus.bus.CONFIRM_SECONDS", 1)
        first = asyncio.create_task(publisher.publish([deletion()]))
        await asyncio.sleep(0)
        monkeypatch.setattr("chat_shared.bus.bus.CONFIRM_SECONDS", 60)
        others = [asyncio.create_task(publisher.publish([deletion()])) for _ in range(50)]
        outcomes = await asyncio.wait_for(asyncio.gather(first, *others, return_exceptions=True), 10)
        assert {type(outcome) for outcome in outcomes} == {Unavailable}
        with pytest.raises(Unavailable):
            await asyncio.wait_for(publisher.publish([deletion()]), 0.1)


async def test_a_broker_short_of_memory_hangs_nobody(open_bus: OpenBus, backing: Stack) -> None:
    """It takes nothing from publishers then; consumers go on, and what is published fails in five seconds."""
    inbox, waiting = Inbox(), [deletion() for _ in range(120)]
    publisher = await open_bus()
    await publisher.publish(waiting)
    await set_memory_limit(backing, "0")
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await publisher.publish([deletion()])
        assert time.monotonic() - began < 6
        await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
        await eventually(lambda: len(inbox.handled) >= 120, timeout=10)
        assert await depth(backing.amqp_url, dead_letter_queue(QUEUE)) == 0
        began = time.monotonic()
        await publisher.stop()
        assert time.monotonic() - began < 5
    finally:
        await set_memory_limit(backing, "0.6")
    later = deletion()
    again = await open_bus()
    await again.publish([later])
    await eventually(lambda: later.event_id in inbox.handled, timeout=10)
