"""Messaging dies at each point of a message's way, freezes, and races itself."""

import asyncio
import time
from collections.abc import AsyncIterator

from chat_messaging.crash_points import POINTS

from chat_faults.barrage import contention, send_from_all
from chat_faults.chorus import chorus
from chat_faults.fault import Run, fault
from chat_faults.inspection import drop_sweep_lease, metric
from chat_faults.load import Profile
from chat_faults.measure import longest_silence

FREEZE_SECONDS = 20.0
UNAVAILABLE_SECONDS = 3.0
CRASH_SECONDS = 60.0
"""The start of the process is part of it."""
ROUNDS = 334
"""Of one seed; three seeds make a thousand."""
HOT_SECONDS = 15.0
SENDS_PER_SECOND = 20.0


@fault("F04", "Messaging dies at each of its crash points", "sends are unavailable ≤ 3 s (two processes)")
async def crash_points(run: Run) -> AsyncIterator[None]:
    silences = []
    async with contention(run):
        for point in run.rng.sample(POINTS, len(POINTS)):
            victim = run.rng.choice(run.rig.instances("messaging"))
            passes = run.rng.randint(1, 4)
            armed_at = time.monotonic()
            await run.rig.replace(victim, {"CHAT_CRASH_AT": f"{point}:{passes}"})
            try:
                async with asyncio.timeout(CRASH_SECONDS):
                    await run.rig.process(victim).wait_exit()
            except TimeoutError:
                run.require(False, f"{victim} did not come to {point} {passes} times")
            died_at = time.monotonic()
            await run.rig.bring_back(victim)
            silences.append(longest_silence(run.load.sent, max(armed_at, died_at - 1), time.monotonic()))
    yield
    run.at_most("longest time without an ack around a crash", max(silences), UNAVAILABLE_SECONDS)


@fault(
    "F05",
    f"A messaging process freezes for {FREEZE_SECONDS:g} s with a batch in its hands",
    "the deadline fires at 8 s, clients repeat elsewhere; what it inserts late loses or is recognised",
)
async def freezes(run: Run) -> AsyncIterator[None]:
    victim = run.rng.choice(run.rig.instances("messaging"))
    async with run.rig.frozen(victim):
        await asyncio.sleep(FREEZE_SECONDS)
    yield


@fault(
    "F20",
    "Two processes publish what was left behind, at the same time",
    "others are told twice and take it once",
)
async def two_sweepers(run: Run) -> AsyncIterator[None]:
    await run.rig.links.down("rabbitmq")
    await asyncio.sleep(6)  # what is older than five seconds is left to the sweep
    await run.rig.links.up("rabbitmq")
    until = time.monotonic() + 8
    while time.monotonic() < until:
        await drop_sweep_lease(run.rig)
        await asyncio.sleep(0.1)
    yield


@fault(
    "F25",
    f"The same message from ten sockets on two gateways at once, {ROUNDS} times",
    "one entry, equal acknowledgements",
)
async def same_message(run: Run) -> AsyncIterator[None]:
    answers = await send_from_all(run, rounds=ROUNDS, sockets=10)
    yield
    unequal = [number for number, places in enumerate(answers) if len(places) != 1]
    run.require(not unequal, f"{len(unequal)} rounds were answered with several places: {unequal[:3]}")
    run.note("rounds", len(answers), "rounds")


@fault(
    "F26",
    "One room, three messaging processes, 50 senders at 20 messages a second each",
    "≥ 1,000 entries a second, dense, ack p99 ≤ 500 ms, ≤ 3 retries",
    profile=Profile(clients=52, rooms=0, hot_members=52, rate=1),  # two of them listen
    messaging=3,
)
async def hot_room(run: Run) -> AsyncIterator[None]:
    names = run.rig.instances("messaging")
    before = await metric(run.api, run.rig, names, "chat_append_retries_total")
    inserts = await metric(run.api, run.rig, names, "chat_append_seconds_count")
    async with chorus(run, SENDS_PER_SECOND), contention(run):  # or one process would get all of it
        began = time.monotonic()
        await asyncio.sleep(HOT_SECONDS)
        ended = time.monotonic()
    retries = await metric(run.api, run.rig, names, "chat_append_retries_total") - before
    inserts = await metric(run.api, run.rig, names, "chat_append_seconds_count") - inserts
    yield
    acked = [m for m in run.load.sent if m.acked_at is not None and began <= m.acked_at < ended]
    run.at_least("entries a second", len(acked) / (ended - began), 1_000, "1/s")
    run.at_most("ack p99", run.ack_p99(began, ended - 1), 0.5)
    run.at_most("retries per insert", retries / max(1.0, inserts), 3, "")
