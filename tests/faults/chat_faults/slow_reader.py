"""A client that answers heartbeats in time and reads not a byte."""

import asyncio
import time
from dataclasses import dataclass

from chat_shared.testing.bare_socket import BareSocket

from chat_faults.fault import Run
from chat_faults.inspection import metric
from chat_faults.measure import MIB, rss

LARGE = "y" * 4_000
WRITERS = 4
WRITE_PAUSE_SECONDS = 0.06


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    closed: bool
    seconds: float
    """From the first message that it did not read."""
    grown_mib: float
    """By how much the gateway's memory was above its level before, at the most."""


class SlowReader:
    """A bare socket, since every library reads by itself."""

    def __init__(self, run: Run, gateway: str) -> None:
        self._run = run
        self._gateway = gateway

    async def endure(self, timeout: float) -> Outcome:
        """Connect, read nothing while others write much, and return how it ended."""
        gateway = self._run.rig.process(self._gateway)
        async with BareSocket(gateway.url, self._run.load.hot_room.owner.access_token):
            return await self._watch(gateway.pid, timeout)

    async def _watch(self, pid: int, timeout: float) -> Outcome:
        before = await self._closed_as_slow()
        level = rss(pid)
        peak = level
        began = time.monotonic()
        writing = asyncio.create_task(self._write_much())
        closed = False
        try:
            while time.monotonic() - began < timeout and not closed:
                await asyncio.sleep(0.1)
                peak = max(peak, rss(pid))
                closed = await self._closed_as_slow() > before
        finally:
            writing.cancel()
            await asyncio.wait([writing])
        return Outcome(closed, time.monotonic() - began, (peak - level) / MIB)

    async def _closed_as_slow(self) -> float:
        return await metric(
            self._run.api, self._run.rig, [self._gateway], 'chat_gateway_closed_total{reason="slow"}'
        )

    async def _write_much(self) -> None:
        room = self._run.load.hot_room
        senders = [
            client
            for client in self._run.load.clients
            if client.history.user_id in {m.id for m in room.members}
        ]

        async def write(number: int) -> None:
            while True:
                await senders[number].send(room.id, LARGE[:4_000])
                await asyncio.sleep(WRITE_PAUSE_SECONDS)

        await asyncio.gather(*(write(number) for number in range(WRITERS)))
