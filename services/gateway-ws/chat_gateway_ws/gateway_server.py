"""The HTTP server around the gateway, which sends its sockets away before it stops."""

import asyncio
from socket import socket
from types import FrameType

import uvicorn
from chat_shared.logging import get_logger
from fastapi import FastAPI

from chat_gateway_ws.drain import Drain
from chat_gateway_ws.server import ChatServer
from chat_gateway_ws.slow_readers import bound_kernel_buffer

log = get_logger(__name__)

GOODBYE_SECONDS = 3.0
"""How long the last clients have to answer the closing frame, so that none sees a broken connection."""
POLL_SECONDS = 0.05
COMPONENTS_SECONDS = 10.0


class GatewayServer(uvicorn.Server):
    """Drains first when it stops: uvicorn itself would begin by closing every WebSocket.

    Every step has an end: the drain its settings, then the goodbye, the requests (`CHAT_SHUTDOWN_SECONDS`)
    and the components. A second signal skips the waiting of the drain.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._drain: Drain = app.state.drain
        self._chat_server: ChatServer = app.state.chat_server
        self._loop = asyncio.get_running_loop()
        app.state.slow_readers.watch(self.server_state.connections)

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                bound_kernel_buffer(listening)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        if self.should_exit:
            self._loop.call_soon_threadsafe(self._drain.hurry)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop serving."""
        await self._drain.run()
        self._chat_server.close_all()
        await self._say_goodbye()
        seconds = (self.config.timeout_graceful_shutdown or 0) + COMPONENTS_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await super().shutdown(sockets)
        except TimeoutError:
            log.error("the gateway did not stop in time and ends as it is", seconds=seconds)

    async def _say_goodbye(self) -> None:
        """Wait until the WebSockets are gone that were closed a moment ago."""
        deadline = self._loop.time() + GOODBYE_SECONDS
        while self._has_websockets():
            if self._loop.time() > deadline:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _has_websockets(self) -> bool:
        websocket = self.config.ws_protocol_class
        assert websocket is not None  # noqa: S101 - tells the type checker
        return any(isinstance(client, websocket) for client in self.server_state.connections)
