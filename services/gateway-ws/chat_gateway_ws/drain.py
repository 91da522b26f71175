"""Going away in order: refuse who is new, finish what is under way, send clients elsewhere over a while.

uvicorn closes every WebSocket the moment it begins to shut down, so this has to come before.
"""

import asyncio
import random

from chat_shared.contracts.sockets import Drain as DrainNotice
from chat_shared.leaving import Leaving
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
    """The last phase in the life of a gateway; takes at most its window and `FINISH_SECONDS`."""

    def __init__(self, connections: Connections, leaving: Leaving, *, window_seconds: float) -> None:
        """Args:
        leaving: whether this gateway is about to stop.
        window_seconds: over how long sockets are closed, so that they do not all come back at once.
        """
        self._connections = connections
        self._leaving = leaving
        self._window_seconds = window_seconds
        self._seen_off: set[Connection] = set()
        self._tasks = TaskSet()

    def require_open(self) -> None:
        """Raise `Busy`, which a client retries elsewhere, once this gateway lets nobody in any more."""
        if self._leaving.has_begun:
            raise Busy("This gateway is going away; reconnect")

    def require_staying(self, connection: Connection) -> None:
        """Raise `Busy` once a socket's turn to leave has come: what it sends now goes elsewhere."""
        if connection in self._seen_off:
            raise Busy("This gateway is going away; reconnect")

    async def run(self) -> None:
        """Send every socket away in its turn, with its last messages answered."""
        turns = self._turns()
        log.info("gateway drains", sockets=len(turns), seconds=self._window_seconds)
        for connection, delay in turns:
            connection.send(event_frame("drain", DrainNotice(delay_ms=round(delay * 1000))))
        began = asyncio.get_running_loop().time()
        for connection, delay in turns:
            await self._leaving.pause(began + delay - asyncio.get_running_loop().time())
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
        self._seen_off.add(connection)
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        while connection.pending_sends:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        connection.close(SHUTDOWN)
