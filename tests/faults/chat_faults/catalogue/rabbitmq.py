"""RabbitMQ goes away, keeps its confirms to itself, and carries poison; its consumers die at work."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
from chat_shared.bus import EXCHANGE
from chat_shared.contracts.events import MessagesAppended
from chat_shared.testing import eventually

from chat_faults.effects import queue_depths
from chat_faults.fault import Run, fault
from chat_faults.inspection import activity_lag, drop_dead_letters, unpublished

AWAY_SECONDS = 30.0
HOLE_SECONDS = 8.0
KILLS = 17
"""Of one seed; three seeds make more than fifty."""
POISON_SECONDS = 10.0
ACTIVITY_QUEUE = "rooms.activity"


@fault(
    "F16",
    f"RabbitMQ is away for {AWAY_SECONDS:g} s",
    "ack p99 unchanged (± 10 %), the backlog drains ≥ 5 times as fast as it grew, each effect once",
)
async def away(run: Run) -> AsyncIterator[None]:
    run.rig.kill("rabbitmq", stays_down=True)
    await asyncio.sleep(AWAY_SECONDS)
    backlog = await unpublished(run.rig)
    await run.rig.bring_back("rabbitmq")
    back_at = time.monotonic()
    await eventually(lambda: _is_small(run, backlog / 20), 60, "a drained backlog")
    drained = time.monotonic() - back_at
    yield
    before, during = run.ack_p99(run.begun_at, run.quiet_until), run.ack_p99(run.broken_at, back_at)
    run.note("ack p99 compared with before", during / max(before, 0.001), "times")
    run.note("backlog", backlog, "messages")
    run.at_least("drained faster than it grew", AWAY_SECONDS / max(drained, 0.001), 5, "times")


async def _is_small(run: Run, bound: float) -> bool:
    return await unpublished(run.rig) <= max(bound, run.load.rate)


@fault(
    "F17",
    f"RabbitMQ's confirms get lost for {HOLE_SECONDS:g} s",
    "published again after 5 s; the duplicates change nothing",
)
async def lost_confirms(run: Run) -> AsyncIterator[None]:
    async with run.rig.links.broken("rabbitmq", hole_down=True):
        await asyncio.sleep(HOLE_SECONDS)
    yield


@fault(
    "F18",
    "Poison: events of a wrong form, and events whose handler fails each time",
    "set aside within 5 tries and 10 s; the events behind them wait ≤ 1 s",
)
async def poison(run: Run) -> AsyncIterator[None]:
    before = (await queue_depths(run.rig.amqp_url, dead=True))[ACTIVITY_QUEUE]
    bodies = [b"no JSON at all", b"{}", _unbearable_event()]
    async with await aio_pika.connect(run.rig.amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE)
        for body in bodies:
            await exchange.publish(aio_pika.Message(body, message_id="poison"), MessagesAppended.key)
    began = time.monotonic()

    async def set_aside() -> bool:
        return (await queue_depths(run.rig.amqp_url, dead=True))[ACTIVITY_QUEUE] >= before + len(bodies)

    await eventually(set_aside, 30, "poison among the dead letters")
    took = time.monotonic() - began
    lags = [await activity_lag(run) for _ in range(10)]
    await drop_dead_letters(run.rig, ACTIVITY_QUEUE)
    yield
    run.at_most("set aside after", took, POISON_SECONDS)
    run.at_most("consumer behind by", max(lags), 1.0)


def _unbearable_event() -> bytes:
    """Return an event of the right form with a number that no database can store."""
    entry = {
        "messageId": "0" * 24,
        "seq": 2**70,
        "senderId": "0" * 24,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }
    event: dict[str, Any] = {
        "eventId": "poison-1",
        "occurredAt": "2026-01-01T00:00:00.000Z",
        "rooms": [{"roomId": "0" * 24, "entries": [entry]}],
    }
    return str(event).replace("'", '"').encode()


@fault("F19", f"The consumer of messages is killed {KILLS} times at its work", "each effect once")
async def consumer_dies(run: Run) -> AsyncIterator[None]:
    for _ in range(KILLS):
        process = run.rig.process("rooms-1")
        pid = process.pid
        await asyncio.sleep(run.rng.uniform(0.0, 0.5))
        process.kill()
        await process.wait_exit()
        await process.restart()
        await run.rig.wait_restarted("rooms-1", pid)
    yield
    run.note("kills", KILLS, "times")
