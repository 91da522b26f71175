"""MongoDB loses its primary, its majority, its speed."""

import asyncio
import time
from collections.abc import AsyncIterator

from chat_faults.barrage import stopwatch
from chat_faults.fault import Run, fault
from chat_faults.measure import MIB, longest_silence, percentile, rss

DOWN_SECONDS = 10.0
AWAY_SECONDS = 20.0
SLOW_SECONDS = 15.0
PYMONGO = "PyMongo"
"""What the driver says of itself in its first message; the nodes among themselves do not."""


@fault("F06", "MongoDB's primary dies", "writes are back ≤ 6 s (elections after two seconds)")
async def primary_dies(run: Run) -> AsyncIterator[None]:
    primary = await run.rig.replica_set.primary()
    run.rig.kill(primary, stays_down=True)
    await asyncio.sleep(DOWN_SECONDS)
    await run.rig.bring_back(primary)
    yield
    run.at_most("writes back after", longest_silence(run.load.sent, run.broken_at, run.healed_at), 6.0)


@fault("F07", "MongoDB's primary steps down", "≤ 5 s, no user sees an error")
async def step_down(run: Run) -> AsyncIterator[None]:
    primary = await run.rig.replica_set.primary()
    await run.rig.replica_set.step_down(primary, seconds=10)
    await asyncio.sleep(DOWN_SECONDS)
    yield
    run.at_most(
        "longest time without an ack", longest_silence(run.load.sent, run.broken_at, run.healed_at), 5
    )
    run.require(not any(m.refused for m in run.load.sent), "a message was refused for good")


@fault(
    "F09",
    f"Two of three MongoDB nodes are gone for {AWAY_SECONDS:g} s",
    "no ack meanwhile, an error ≤ 10 s for each, memory + ≤ 50 MiB, back ≤ 15 s",
)
async def majority_gone(run: Run) -> AsyncIterator[None]:
    nodes = run.rng.sample(sorted(run.rig.replica_set.processes), 2)
    pids = [
        run.rig.process(name).pid
        for name in (*run.rig.instances("messaging"), "gateway-ws-1", "gateway-ws-2")
    ]
    before = sum(map(rss, pids))
    async with stopwatch(run) as watch:
        for node in nodes:
            run.rig.kill(node, stays_down=True)
        await asyncio.sleep(1)
        silent_from = time.monotonic()
        await asyncio.sleep(AWAY_SECONDS)
        silent_to = time.monotonic()
    grown = (sum(map(rss, pids)) - before) / MIB
    for node in nodes:
        await run.rig.bring_back(node)
    yield
    acked = [m for m in run.load.sent if m.acked_at and silent_from < m.acked_at < silent_to]
    # A majority that is gone cannot have taken anything: such an ack is a lie, wherever it came from.
    run.require(not acked, f"{len(acked)} acknowledgements while no majority was there")
    run.at_most("longest wait for an answer", watch.longest, 10.0)
    run.at_most("memory of messaging and gateways grew by", grown, 50, "MiB")
    back = [m.acked_at for m in run.load.sent if m.acked_at and m.acked_at > silent_to]
    run.at_most("writes back after", min(back, default=silent_to + 3600) - silent_to, 15.0)


@fault(
    "F10",
    f"Each round trip to MongoDB takes 500 ± 200 ms for {SLOW_SECONDS:g} s",
    "p99 of a send ≤ 3 s once its client sends it, queues bounded, what is too much is refused as busy",
)
async def slow(run: Run) -> AsyncIterator[None]:
    nodes = tuple(run.rig.replica_set.processes)
    async with run.rig.links.broken(*nodes, latency=0.25, jitter=0.1, only=PYMONGO):
        await asyncio.sleep(SLOW_SECONDS)
    yield
    acked = [
        (m.begun, m.offered, m.acked_at)
        for m in run.load.sent
        if m.offered is not None and m.acked_at is not None and run.broken_at + 2 <= m.offered < run.healed_at
    ]
    run.at_most("ack p99 meanwhile", percentile([ack - offered for _, offered, ack in acked], 0.99), 3.0)
    # A careful client has one message of a room under way: who writes faster than that waits for themself.
    run.note(
        "ack p99 with the wait for own messages", percentile([ack - begun for begun, _, ack in acked], 0.99)
    )
