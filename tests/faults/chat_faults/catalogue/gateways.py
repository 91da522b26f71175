"""Gateways die, freeze, go away in order, and are cut off from messaging."""

import asyncio
from collections.abc import AsyncIterator

from chat_faults.closing_watch import closing_watch
from chat_faults.fault import Run, fault
from chat_faults.measure import percentile, return_times
from chat_faults.rig import DRAIN_SECONDS

FREEZE_SECONDS = 25.0
CUT_SECONDS = 10.0
TRUSTED_AGAIN_SECONDS = 12.0
"""After this, gateways send to a process again that had not answered."""
BACK_SECONDS = 10.0
WATCHERS = 30


@fault("F01", "A gateway dies", "its clients are back on the other one, p99 ≤ 10 s, and complete ≤ 5 s later")
async def dies(run: Run) -> AsyncIterator[None]:
    victim = run.rng.choice(run.rig.instances("gateway-ws"))
    pid = run.rig.process(victim).pid
    run.rig.kill(victim)
    await run.rig.wait_restarted(victim, pid)
    yield
    back = return_times(run.load.histories, run.broken_at)
    run.require(bool(back), "no client was on the gateway that died")
    run.at_most("clients back, p99", percentile(back, 0.99), BACK_SECONDS)


@fault(
    "F02",
    "Every service is deployed anew, one process after the other, under load",
    "no send fails, p99 ≤ 2 s meanwhile, sockets close over ≥ 20 s and with a close frame",
)
async def rolling_deploy(run: Run) -> AsyncIterator[None]:
    services = ("auth", "rooms", "messaging", "media", "gateway-ws")
    async with closing_watch(run, WATCHERS) as watchers:
        for name in [name for service in services for name in run.rig.instances(service)]:
            await run.rig.process(name).restart()
            await run.rig.wait_ready(name)
    yield
    run.require(not any(m.refused for m in run.load.sent), "a message was refused for good")
    run.at_most("ack p99 meanwhile", run.ack_p99(run.broken_at, run.healed_at), 2.0)
    spreads = [max(ends) - min(ends) for ends in watchers.closed_at.values() if ends]
    run.at_least("sockets of a gateway closed over", min(spreads, default=0), DRAIN_SECONDS * 0.75)
    run.at_most("sockets without a close frame", watchers.torn, 0, "sockets")


@fault(
    "F03",
    f"A gateway freezes for {FREEZE_SECONDS:g} s",
    "clients move on; the thawed process delivers nothing stale and closes revoked sockets ≤ 2 s",
)
async def freezes(run: Run) -> AsyncIterator[None]:
    victim = run.rng.choice(run.rig.instances("gateway-ws"))
    async with run.rig.frozen(victim):
        await asyncio.sleep(FREEZE_SECONDS)
    yield
    run.note("clients back, p99", percentile(return_times(run.load.histories, run.broken_at), 0.99))


@fault(
    "F29",
    f"For {CUT_SECONDS:g} s no answer of a messaging process comes back, then no request reaches it",
    "the deadline passes, clients repeat, nothing is stored twice",
)
async def one_way_cut(run: Run) -> AsyncIterator[None]:
    victim = run.rng.choice(run.rig.instances("messaging"))
    for direction in ("hole_down", "hole_up"):
        async with run.rig.links.broken(victim, **{direction: True}):
            await asyncio.sleep(CUT_SECONDS)
        await asyncio.sleep(TRUSTED_AGAIN_SECONDS)
    yield
    repeats = sum(max(0, message.attempts - 1) for message in run.load.sent)
    run.note("repeats", repeats, "sends")


@fault(
    "F31",
    "The machine is starved and event loops block for 2 s",
    "≤ 1 % of the sockets drop; the metric of the loop's lag shows it",
)
async def starvation(run: Run) -> AsyncIterator[None]:
    connects = sum(client.connects for client in run.load.clients)
    burners = [await asyncio.create_subprocess_exec("sh", "-c", "while :; do :; done") for _ in range(4)]
    try:
        for name in run.rig.instances("gateway-ws"):
            async with run.rig.frozen(name):
                await asyncio.sleep(2)
            await asyncio.sleep(3)
        lag = max([await _loop_lag(run, name) for name in run.rig.instances("gateway-ws")])
    finally:
        for burner in burners:
            burner.kill()
            await burner.wait()
    dropped = sum(client.connects for client in run.load.clients) - connects
    yield
    run.at_most("sockets dropped", 100 * dropped / len(run.load.clients), 1.0, "%")
    run.at_least("loop lag that the metric shows", lag, 1.0)


async def _loop_lag(run: Run, name: str) -> float:
    response = await run.api.http.get(f"{run.rig.process(name).url}/metrics")
    values = [
        float(line.rpartition(" ")[2])
        for line in response.text.splitlines()
        if line.startswith("chat_event_loop_lag_max_seconds ")
    ]
    return max(values, default=0.0)
