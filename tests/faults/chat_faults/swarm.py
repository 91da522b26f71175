"""Thousands of light sockets that only listen, for what is about numbers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from chat_shared.lifecycle import TaskSet
from chat_shared.testing import RawSocket, User, eventually

from chat_faults.fault import Run
from chat_faults.inspection import metric
from chat_faults.measure import cpu_seconds

CONNECT_AT_ONCE = 20
START_SECONDS = 180.0
LONGEST_PAUSE_SECONDS = 5.0


class _Listener:
    """A raw socket that is opened again whenever it is closed, and then asks for what it missed."""

    def __init__(self, url: str, user: User, room_ids: Sequence[str], gate: asyncio.Semaphore) -> None:
        self._url = url
        self._user = user
        self._sync = {"rooms": [{"roomId": room_id, "after": 0} for room_id in room_ids]}
        self._gate = gate
        self.is_up = False

    async def stay(self, pause: float) -> None:
        """Stay connected until cancelled."""
        while True:
            async with AsyncExitStack() as stack:
                with suppress(AssertionError, aiohttp.ClientError, OSError):
                    async with self._gate:
                        socket = await stack.enter_async_context(RawSocket(self._url))
                        await self._enter(socket)
                    self.is_up = True
                    await socket.closed.wait()
            self.is_up = False
            await asyncio.sleep(pause)

    async def _enter(self, socket: RawSocket) -> None:
        await socket.log_in(self._user.access_token)
        await socket.send_event("sync", self._sync, ack_id=1)
        await socket.wait_for("431")
        socket.frames.clear()


@dataclass(frozen=True)
class Usage:
    """What a storm cost: shares of a core, and reads."""

    auth: float
    messaging: float
    reads_per_room: float


class Swarm:
    """Many sockets of the run's users, spread over the gateways by Traefik."""

    def __init__(self, run: Run, count: int) -> None:
        self._run = run
        gate = asyncio.Semaphore(CONNECT_AT_ONCE)
        users = [user for room in run.load.rooms for user in room.members]
        rooms = run.load.rooms
        self._listeners = [
            _Listener(
                run.rig.url,
                users[number % len(users)],
                [room.id for room in rooms if users[number % len(users)] in room.members],
                gate,
            )
            for number in range(count)
        ]
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Connect all of them."""
        for number, listener in enumerate(self._listeners):
            pause = LONGEST_PAUSE_SECONDS * (number % 100) / 100
            self._tasks.spawn(listener.stay(pause), name="swarm")
        await eventually(lambda: self.up == len(self._listeners), START_SECONDS, "the whole swarm")

    async def stop(self) -> None:
        """Disconnect all of them."""
        await self._tasks.cancel()

    @property
    def up(self) -> int:
        """How many are connected and have caught up."""
        return sum(listener.is_up for listener in self._listeners)

    async def storm(self, victim: str, timeout: float) -> tuple[float, Usage]:
        """Kill a gateway; return how long it took until all are back, and what that cost."""
        rig = self._run.rig
        services = ("auth", "messaging")
        names = {service: rig.instances(service) for service in services}
        pids = {name: rig.process(name).pid for service in services for name in names[service]}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        reads = await self._reads()
        began = time.monotonic()
        rig.kill(victim)
        await eventually(lambda: self.up < len(self._listeners), 10, "sockets that were cut")
        await eventually(lambda: self.up == len(self._listeners), timeout, "the whole swarm back")
        took = time.monotonic() - began
        used = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in pids.items()}
        rooms = len(self._run.load.rooms)
        return took, Usage(
            auth=max(used[name] for name in names["auth"]),
            messaging=max(used[name] for name in names["messaging"]),
            reads_per_room=(await self._reads() - reads) / rooms,
        )

    async def _reads(self) -> float:
        names = self._run.rig.instances("messaging")
        return await metric(self._run.api, self._run.rig, names, "chat_log_reads_total")


@asynccontextmanager
async def swarm(run: Run, count: int) -> AsyncIterator[Swarm]:
    """A swarm that is connected for the time of the block."""
    made = Swarm(run, count)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
