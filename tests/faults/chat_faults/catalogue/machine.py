"""The whole machine: its clocks, its power, and a service that all others trust."""

import asyncio
import time
from collections.abc import AsyncIterator

from chat_shared.testing import eventually

from chat_faults.clock import Clocks
from chat_faults.fault import Run, fault

AUTH_SECONDS = 20.0
SKEW_SECONDS = 600.0
SKEWED_SECONDS = 6.0
SERVING_SECONDS = 60.0


@fault(
    "F27",
    "Clocks are ten minutes apart, and step",
    "order intact, leases safe, tokens by the 30 s rule",
)
async def clock_skew(run: Run) -> AsyncIterator[None]:
    clocks = Clocks(run.rig)
    skews = {"messaging-1": SKEW_SECONDS, "messaging-2": -SKEW_SECONDS, "rooms-1": SKEW_SECONDS}
    await clocks.skew(skews)
    await asyncio.sleep(SKEWED_SECONDS)
    for name, offset in skews.items():
        clocks.step(name, -offset)
    await asyncio.sleep(SKEWED_SECONDS)
    await clocks.restore()
    yield


@fault(
    "F28",
    f"Auth is away for {AUTH_SECONDS:g} s",
    "open sockets and valid tokens go on; new logins get 503",
)
async def auth_away(run: Run) -> AsyncIterator[None]:
    user = run.load.hot_room.owner
    run.rig.kill("auth-1", stays_down=True)
    await asyncio.sleep(2)
    login = await run.api.send(
        "POST", "/auth/login", json={"username": user.username, "password": user.password}
    )
    room = await run.api.send("GET", "/room", user)
    await asyncio.sleep(AUTH_SECONDS)
    await run.rig.bring_back("auth-1")
    yield
    run.require(login.status_code == 503, f"a login was answered with {login.status_code}")
    run.require(room.status_code == 200, f"a valid token was answered with {room.status_code}")
    run.note("ack p99 meanwhile", run.ack_p99(run.broken_at, run.healed_at))


@fault(
    "F33",
    "The power goes: every process is killed at once, then all start again",
    "serving ≤ 60 s later, nothing lost",
)
async def power_cut(run: Run) -> AsyncIterator[None]:
    pids = {name: run.rig.process(name).pid for name in run.rig.names}
    for name in run.rig.names:
        run.rig.kill(name)
    cut_at = time.monotonic()
    await asyncio.gather(*(run.rig.wait_restarted(name, pid) for name, pid in pids.items()))

    def acked_again() -> bool:
        return any(m.acked_at is not None and m.acked_at > cut_at for m in run.load.sent)

    await eventually(acked_again, SERVING_SECONDS * 2, "an acknowledgement")
    serving = time.monotonic() - cut_at
    yield
    run.at_most("serving again after", serving, SERVING_SECONDS)
