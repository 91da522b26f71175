"""Going away in order: refuse who is new, finish what is under way, send clients elsewhere over a while.

uvicorn closes every WebSocket the moment it begins to shut down, so this has to come before.
"""

import asyncio
import random
from contextlib import suppress

from chat_shared.contracts.sockets import Drain as DrainNotice
from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

from chat_gateway_ws.close_reasons import SHUTDOWN
from chat_gateway_ws.connections import Connection, Connections
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

FINISH_SECONDS = 5.0
POLL_SECONDS = 0.05


class Drain:
    """The last phase in the life of a gateway. It takes at most both times and `FINISH_SECONDS`."""

    def __init__(self, connections: Connections, *, wait_seconds: float, window_seconds: float) -> None:
        """Args:
        wait_seconds: until load balancers have noticed that this gateway is not ready any more.
        window_seconds: over how long sockets are closed, so that they do not all come back at once.
        """
        self._connections = connections
        self._wait_seconds = wait_seconds
        self._window_seconds = window_seconds
        self._begun = False
        self._leaving: set[Connection] = set()
        self._in_a_hurry = asyncio.Event()
        self._tasks = TaskSet()

    def require_open(self) -> None:
        """Raise `Busy`, which a client retries elsewhere, once this gateway lets nobody in any more."""
        if self._begun:
            raise Busy("This gateway is going away; reconnect")

    def require_staying(self, connection: Connection) -> None:
        """Raise `Busy` once a socket's turn to leave has come: what it sends now goes elsewhere."""
        if connection in self._leaving:
            raise Busy("This gateway is going away; reconnect")

    async def check(self) -> None:
        """Raise `Unavailable` once this gateway is going away: it is not ready any more."""
        if self._begun:
            raise Unavailable("The gateway is draining")

    def hurry(self) -> None:
        """Wait for nothing any more but for what is under way: somebody lost patience."""
        self._in_a_hurry.set()

    async def run(self) -> None:
        """Send every socket away in its turn, with its last messages answered."""
        self._begun = True
        await self._pause(self._wait_seconds)
        leaving = self._turns()
        log.info("gateway drains", sockets=len(leaving), seconds=self._window_seconds)
        for connection, delay in leaving:
            connection.send(event_frame("drain", DrainNotice(delay_ms=round(delay * 1000))))
        began = asyncio.get_running_loop().time()
        for connection, delay in leaving:
            await self._pause(began + delay - asyncio.get_running_loop().time())
            self._tasks.spawn(self._see_off(connection), name="drain")
        await self._tasks.finish(FINISH_SECONDS + 1)

    def _turns(self) -> list[tuple[Connection, float]]:
        """Return all sockets with the seconds until their turn: at random, and evenly spread."""
        connections = list(self._connections)
        random.shuffle(connections)
        share = self._window_seconds / max(1, len(connections))
        return [(connection, (turn + random.random()) * share) for turn, connection in enumerate(connections)]

    async def _see_off(self, connection: Connection) -> None:
        """Close a socket when every message that was taken from it has its answer."""
        self._leaving.add(connection)
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        while connection.pending_sends:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        connection.close(SHUTDOWN)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._in_a_hurry.wait()
