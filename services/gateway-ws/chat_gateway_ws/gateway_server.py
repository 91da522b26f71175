"""The HTTP server around the gateway, which sends its sockets away before it stops."""

import asyncio
import time
from socket import socket

import uvicorn
from chat_shared.leaving import LeavingServer
from fastapi import FastAPI

from chat_gateway_ws.drain import Drain
from chat_gateway_ws.server import ChatServer
from chat_gateway_ws.slow_readers import bound_kernel_buffer

GOODBYE_SECONDS = 3.0
"""How long the last clients have to answer the closing frame, so that none sees a broken connection."""
POLL_SECONDS = 0.05


class GatewayServer(LeavingServer):
    """Drains first when it stops: uvicorn itself would begin by closing every WebSocket.

    Every step has an end: leaving and the drain their settings, the goodbye, and what follows in every
    service. A second signal skips the waiting of leaving and the drain.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config, app.state.leaving)
        self._drain: Drain = app.state.drain
        self._chat_server: ChatServer = app.state.chat_server
        app.state.slow_readers.watch(self.server_state.connections)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                bound_kernel_buffer(listening)

    async def leave(self) -> None:
        """Send everybody elsewhere."""
        await super().leave()
        await self._drain.run()
        self._chat_server.close_all()
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        """Wait until the WebSockets are gone that were closed a moment ago."""
        deadline = time.monotonic() + GOODBYE_SECONDS
        while self._has_websockets():
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _has_websockets(self) -> bool:
        websocket = self.config.ws_protocol_class
        assert websocket is not None  # noqa: S101 - tells the type checker
        return any(isinstance(client, websocket) for client in self.server_state.connections)
