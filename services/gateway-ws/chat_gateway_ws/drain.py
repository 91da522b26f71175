"""Going away in order: refuse what is new, finish what is under way, send clients elsewhere over a while.

uvicorn closes every WebSocket the moment it begins to shut down, so this has to come before.
"""

import asyncio
import random

from chat_shared.contracts.sockets import Drain as DrainNotice
from chat_shared.errors import Unavailable
from chat_shared.logging import get_logger

from chat_gateway_ws.close_reasons import SHUTDOWN
from chat_gateway_ws.connections import Connection, Connections
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

FINISH_SECONDS = 5.0
POLL_SECONDS = 0.05


class Drain:
    """The last phase in the life of a gateway."""

    def __init__(self, connections: Connections, window_seconds: float) -> None:
        """`window_seconds`: over how long sockets are closed, so that they do not all come back at once."""
        self._connections = connections
        self._window_seconds = window_seconds
        self._begun = False

    def require_open(self) -> None:
        """Raise `Busy`, which a client retries elsewhere, once this gateway takes nothing new."""
        if self._begun:
            raise Busy("This gateway is going away; reconnect")

    async def check(self) -> None:
        """Raise `Unavailable` once this gateway is going away: it is not ready any more."""
        if self._begun:
            raise Unavailable("The gateway is draining")

    async def run(self) -> None:
        """Tell every socket, answer what was sent, and close the sockets one after the other."""
        self._begun = True
        delays = {connection: random.uniform(0, self._window_seconds) for connection in self._connections}
        log.info("gateway drains", sockets=len(delays), seconds=self._window_seconds)
        for connection, delay in delays.items():
            connection.send(event_frame("drain", DrainNotice(delay_ms=round(delay * 1000))))
        await self._finish_sends()
        await self._close(delays)

    async def _finish_sends(self) -> None:
        """Wait until every message that was taken has its answer, or its sender gave up on it."""
        deadline = asyncio.get_running_loop().time() + FINISH_SECONDS
        while any(connection.pending_sends for connection in self._connections):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _close(self, delays: dict[Connection, float]) -> None:
        began = asyncio.get_running_loop().time()
        for connection, delay in sorted(delays.items(), key=lambda item: item[1]):
            await asyncio.sleep(max(0.0, began + delay - asyncio.get_running_loop().time()))
            connection.close(SHUTDOWN)
