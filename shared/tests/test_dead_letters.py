"""Dead letters on a real RabbitMQ: seen, replayed and dropped, and never lost on the way."""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import aio_pika
import pytest
from chat_local.cli import app
from chat_local.stack import Stack
from chat_shared.bus import EXCHANGE, Bus, dead_letter_queue
from chat_shared.bus.dead_letters import DeadLetters
from chat_shared.contracts.events import UserDeleted
from chat_shared.errors import Unavailable
from chat_shared.testing import eventually
from chat_shared.testing.queues import Inbox, depth, drain, open_channel, set_aside
from typer.testing import CliRunner

QUEUE = "rooms.accounts"
DEAD = dead_letter_queue(QUEUE)

OpenBus = Callable[..., Awaitable[Bus]]
SetAside = Callable[[int], Awaitable[list[str]]]


@pytest.fixture
async def given(open_bus: OpenBus, backing: Stack) -> SetAside:
    """Makes so many dead letters and returns their event ids, oldest first."""
    bus = await open_bus()

    async def make(count: int) -> list[str]:
        events = []
        for _ in range(count):
            events.append(UserDeleted(user_id="1" * 24))
        await set_aside(backing.amqp_url, bus, QUEUE, events)
        return [event.event_id for event in events]

    return make


def ids(bodies: Sequence[bytes]) -> list[str]:
    return [json.loads(body)["eventId"] for body in bodies]


async def run(*arguments: str) -> tuple[int, str]:
    """Run `chat dlq` and return its exit code and all that it says."""
    outcome = await asyncio.to_thread(CliRunner().invoke, app, ["dlq", *arguments])
    return outcome.exit_code, outcome.output


async def start(amqp_url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chat_local", "dlq", *arguments),
        env={**os.environ, "CHAT_AMQP_URL": amqp_url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_looking_leaves_everything_in_its_place(given: SetAside, backing: Stack) -> None:
    event_ids = await given(5)
    async with DeadLetters(backing.amqp_url) as letters:
        for _ in range(30):  # more often than brokers give a message out by default
            seen = await letters.look(QUEUE, 3)
            assert [letter.id for letter in seen] == event_ids[:3]
        assert {(letter.key, letter.reason, letter.times) for letter in seen} == {
            (UserDeleted.key, "rejected", 1)
        }
        assert all(letter.died_at for letter in seen)
        depths = {found.queue: (found.waiting, found.dead) for found in await letters.depths()}
    assert depths[QUEUE] == (0, 5)
    assert ids(await drain(backing.amqp_url, DEAD)) == event_ids


async def test_a_replayed_event_is_handled_as_if_it_were_new(
    given: SetAside, open_bus: OpenBus, backing: Stack
) -> None:
    (event_id,) = await given(1)
    inbox = Inbox()
    inbox.failure = ValueError("still a bug")
    await open_bus(lambda bus: bus.consume(QUEUE, inbox.handle))
    async with DeadLetters(backing.amqp_url) as letters:
        for attempts in (5, 10):  # each time it has all of its tries again
            assert await letters.replay(QUEUE) == 1
            (again,) = await eventually(lambda: letters.look(QUEUE, 10), timeout=15)
            assert (again.id, again.key, again.times) == (event_id, UserDeleted.key, 1)
            assert len(inbox.attempts) == attempts
        inbox.failure = None
        assert await letters.replay(QUEUE) == 1
        await eventually(lambda: inbox.handled == [event_id])
        assert await letters.look(QUEUE, 10) == []


async def test_some_are_replayed_and_the_rest_keeps_its_order(given: SetAside, backing: Stack) -> None:
    event_ids = await given(6)
    async with DeadLetters(backing.amqp_url) as letters:
        assert await letters.replay(QUEUE, event_ids=[event_ids[3]]) == 1
        assert await letters.replay(QUEUE, limit=2) == 2
        assert await letters.replay(QUEUE, event_ids=["unknown"]) == 0
    assert ids(await drain(backing.amqp_url, QUEUE)) == [event_ids[3], event_ids[0], event_ids[1]]
    assert ids(await drain(backing.amqp_url, DEAD)) == [event_ids[2], event_ids[4], event_ids[5]]


async def test_what_is_no_event_can_be_replayed_and_dies_again(open_bus: OpenBus, backing: Stack) -> None:
    await open_bus(lambda bus: bus.consume(QUEUE, Inbox().handle))
    async with open_channel(backing.amqp_url) as channel:
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(b"nonsense"), UserDeleted.key)
    async with DeadLetters(backing.amqp_url) as letters:
        (before,) = await eventually(lambda: letters.look(QUEUE, 10), timeout=10)
        assert (before.key, before.body) == (UserDeleted.key, b"nonsense")
        assert await letters.replay(QUEUE) == 1
        (after,) = await eventually(lambda: letters.look(QUEUE, 10), timeout=10)
        assert (after.id, after.key) == (before.id, before.key)
        assert await letters.drop(QUEUE, [after.id]) == 1


async def test_a_broken_off_replay_loses_nothing(given: SetAside, backing: Stack) -> None:
    """Killed at some moment in between, again and again: at worst an event is in its queue twice."""
    event_ids = await given(300)
    for left in (220, 120):
        process = await start(backing.amqp_url, "replay", QUEUE)

        async def is_half_done(left: int = left) -> bool:
            # Those that the running command holds are in neither figure, so look at what it has sent.
            return await depth(backing.amqp_url, QUEUE) >= 300 - left

        await eventually(is_half_done, timeout=20)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    async with DeadLetters(backing.amqp_url) as letters:
        assert await letters.replay(QUEUE) > 0
    arrived = Counter(ids(await drain(backing.amqp_url, QUEUE)))
    assert set(arrived) == set(event_ids)
    assert sum(arrived.values()) <= 300 + 2  # one per kill
    assert await drain(backing.amqp_url, DEAD) == []


async def test_without_a_broker_it_says_so_and_not_the_password() -> None:
    with pytest.raises(Unavailable) as refused:
        async with DeadLetters("amqp://guest:hunter2@127.0.0.1:9/"):
            pass
    assert "hunter2" not in str(refused.value)


async def test_the_command(given: SetAside, backing: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_AMQP_URL", backing.amqp_url)
    first, second, third = await given(3)
    code, said = await run("count")
    assert code == 0
    assert re.search(rf"^{QUEUE} +0 +3$", said, re.MULTILINE), said
    code, said = await run("list", QUEUE, "--limit", "2")
    assert code == 0
    assert first in said
    assert second in said
    assert third not in said
    assert "userId" not in said
    code, said = await run("list", QUEUE, "--body")
    assert "userId" in said
    assert await run("replay", QUEUE, "--event-id", second) == (0, f"1 sent to {QUEUE} again\n")
    code, said = await run("drop", QUEUE, "--event-id", first)
    assert code != 0  # nobody there to say yes
    code, said = await run("drop", QUEUE, "--event-id", first, "--yes")
    assert (code, said) == (0, f"1 dropped from the dead letters of {QUEUE}\n")
    assert ids(await drain(backing.amqp_url, DEAD)) == [third]
    code, said = await run("list", "no.such.queue")
    assert (code, QUEUE in said) == (2, True)
