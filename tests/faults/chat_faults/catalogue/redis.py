"""Redis dies, falls silent, loses messages, is full."""

import asyncio
import time
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from chat_faults.fault import Run, fault

DOWN_SECONDS = 15.0
SILENT_SECONDS = 15.0
LOSSY_SECONDS = 15.0
FULL_SECONDS = 10.0
WRONG_PASSWORDS = 12
BUFFER_LIMIT = "client-output-buffer-limit"


@fault(
    "F12",
    f"Redis dies and comes back empty after {DOWN_SECONDS:g} s",
    "delivery p99 ≤ 4 s meanwhile, ≤ 300 ms from 5 s after its return; guessing passwords stays limited",
)
async def dies(run: Run) -> AsyncIterator[None]:
    run.rig.kill("redis", stays_down=True)
    await asyncio.sleep(1)
    refused = await _guess_passwords(run)
    await asyncio.sleep(DOWN_SECONDS - 1)
    await run.rig.bring_back("redis")
    back_at = time.monotonic()
    await asyncio.sleep(8)
    yield
    run.at_most("delivery p99 while away", run.delivery_p99(run.broken_at, back_at - 4), 4.0)
    run.at_most("delivery p99 from 5 s after its return", run.delivery_p99(back_at + 5, run.healed_at), 0.3)
    run.require(refused > 0, "wrong passwords were not limited while Redis was away")


async def _guess_passwords(run: Run) -> int:
    """Log in with wrong passwords; return how many attempts were refused without being looked at."""
    user = run.load.hot_room.owner
    credentials = {"username": user.username, "password": "a wrong one 42"}
    responses = [await run.api.send("POST", "/auth/login", json=credentials) for _ in range(WRONG_PASSWORDS)]
    return sum(response.status_code in (429, 503) for response in responses)


@fault(
    "F13",
    f"Redis swallows everything for {SILENT_SECONDS:g} s",
    "noticed ≤ 5 s, no request waits longer than a second for it",
)
async def black_hole(run: Run) -> AsyncIterator[None]:
    async with run.rig.links.broken("redis", hole_up=True, hole_down=True):
        await asyncio.sleep(SILENT_SECONDS)
    await asyncio.sleep(3)
    yield
    run.at_most("ack p99 meanwhile", run.ack_p99(run.broken_at, run.healed_at), 1.5)
    run.at_most("delivery p99 from 5 s on", run.delivery_p99(run.broken_at + 5, run.healed_at), 5.0)


@fault(
    "F14",
    "A tenth of all pub/sub messages is lost, then every subscription is cut, then all are lost",
    "everything is repaired ≤ 5 s, p100",
)
async def silent_loss(run: Run) -> AsyncIterator[None]:
    async with run.rig.links.broken("redis", drop_pushes=0.1):
        await asyncio.sleep(LOSSY_SECONDS / 3)
        dropped = await run.rig.links.dropped("redis")
    async with Redis.from_url(run.rig.redis_url) as redis:
        await redis.client_kill_filter(_type="pubsub")
        await asyncio.sleep(LOSSY_SECONDS / 3)
        # An output buffer that is always too long: what an overflow does to a subscriber.
        limit = str((await redis.config_get(BUFFER_LIMIT))[BUFFER_LIMIT])
        await redis.config_set(BUFFER_LIMIT, "pubsub 1 1 1")
        await asyncio.sleep(2)
        await redis.config_set(BUFFER_LIMIT, limit)
    async with run.rig.links.broken("redis", drop_pushes=1.0):
        await asyncio.sleep(LOSSY_SECONDS / 3)
    yield
    run.at_most("delivery p100", run.delivery(1.0, run.broken_at, run.healed_at), 5.0)
    run.note("messages lost on the way", dropped, "messages")
    run.require(dropped > 0, "nothing was dropped")


@fault("F15", f"Redis is full, then read-only, {FULL_SECONDS:g} s each", "sends are not affected")
async def full(run: Run) -> AsyncIterator[None]:
    async with Redis.from_url(run.rig.redis_url) as redis:
        await redis.config_set("maxmemory", "1")
        await asyncio.sleep(FULL_SECONDS)
        await redis.config_set("maxmemory", "0")
        await redis.slaveof("127.0.0.1", 1)
        await asyncio.sleep(FULL_SECONDS)
        await redis.slaveof()
    yield
    before = run.ack_p99(run.begun_at, run.quiet_until)
    run.at_most("ack p99 meanwhile", run.ack_p99(run.broken_at, run.healed_at), max(0.15, before * 1.5))
