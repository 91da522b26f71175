"""Clients flap, storm back, do not read, come and go."""

import asyncio
from collections.abc import AsyncIterator

from chat_faults.fault import Run, fault
from chat_faults.load import Profile
from chat_faults.rig import PUBLIC
from chat_faults.slow_reader import SlowReader
from chat_faults.swarm import swarm
from chat_faults.toggling import Toggling

CUTS = 10
CUT_EVERY_SECONDS = 3.0
UNHEARD_SECONDS = 1.5
STORM_SOCKETS = 2_000
SLOW_SECONDS = 10.0


@fault(
    "F22",
    f"All clients are cut off every {CUT_EVERY_SECONDS:g} s, {CUTS} times, by RST or without a word",
    "nothing twice, with ≥ 1,000 repeats in three seeds",
    behind_link=True,
)
async def flapping(run: Run) -> AsyncIterator[None]:
    for number in range(CUTS):
        await asyncio.sleep(CUT_EVERY_SECONDS * run.rng.uniform(0.7, 1.3))
        async with run.rig.links.broken(PUBLIC, hole_down=True):  # stored, and nobody hears of it
            await asyncio.sleep(UNHEARD_SECONDS)
            await run.rig.links.cut(PUBLIC, half_open=number % 2 == 1)
    yield
    repeats = sum(max(0, message.attempts - 1) for message in run.load.sent)
    run.at_least("repeats", repeats, 334, "sends")


@fault(
    "F23",
    f"A gateway with half of {STORM_SOCKETS} sockets dies",
    "all are back ≤ 60 s; auth and messaging ≤ 85 % of a core; ≤ 2 reads of the log per room",
    profile=Profile(rate=20),
)
async def storm(run: Run) -> AsyncIterator[None]:
    async with swarm(run, STORM_SOCKETS) as sockets:
        victim = run.rng.choice(run.rig.instances("gateway-ws"))
        pids = {name: run.rig.process(name).pid for name in run.rig.names if name != victim}
        back, usage = await sockets.storm(victim, timeout=90)
        restarted = [name for name, pid in pids.items() if run.rig.process(name).pid != pid]
    await run.rig.wait_ready(victim)
    yield
    run.at_most("all back after", back, 60.0)
    run.at_most("auth, share of a core", 100 * usage.auth, 85, "%")
    run.at_most("messaging, share of a core each", 100 * usage.messaging, 85, "%")
    run.at_most("reads of messaging per room", usage.reads_per_room, 2, "reads")
    run.require(not restarted, f"restarted: {restarted}")


@fault(
    "F24",
    "A client answers heartbeats and reads nothing, in a room with large messages",
    "closed ≤ 10 s, the gateway's memory + ≤ 5 MiB",
    profile=Profile(rate=40),
)
async def slow_reader(run: Run) -> AsyncIterator[None]:
    reader = SlowReader(run, "gateway-ws-1")
    outcome = await reader.endure(timeout=30)
    yield
    run.require(outcome.closed, "the slow reader was never closed")
    run.at_most("closed after", outcome.seconds, SLOW_SECONDS)
    run.at_most("the gateway's memory grew by", outcome.grown_mib, 5, "MiB")


@fault(
    "F35",
    "Users in large rooms come and go every two seconds",
    "≤ 2 presence events per user in 30 s; chat p99 + ≤ 10 %; nobody seems online > 70 s after leaving",
    profile=Profile(hot_members=60),
)
async def presence_flaps(run: Run) -> AsyncIterator[None]:
    toggling = Toggling(run)
    outcome = await toggling.go(seconds=40.0)
    yield
    run.at_most("presence events of one user in 30 s", outcome.most_events, 2, "events")
    run.require(not outcome.stuck, f"still online in the eyes of others: {outcome.stuck[:3]}")
    before, during = run.ack_p99(run.begun_at, run.quiet_until), run.ack_p99(run.broken_at, run.healed_at)
    run.note("ack p99 compared with before", during / max(before, 0.001), "times")
