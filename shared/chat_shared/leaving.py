"""A process that is to stop says so, and works on for a moment: until nobody is sent to it any more.

Load balancers ask `/routez`; HTTP connections that are open already end with their next answer, which tells
our own services too. Only then does the server stop listening, so that requests meet no closed door.
"""

import asyncio
from contextlib import suppress
from socket import socket
from types import FrameType

import uvicorn

from chat_shared.errors import Unavailable
from chat_shared.logging import get_logger
from chat_shared.tracing import flush_traces

log = get_logger(__name__)

ROUTABLE_PATH = "/routez"
"""Where a process says whether requests should be sent to it."""

COMPONENTS_SECONDS = 10.0


class Leaving:
    """The time between SIGTERM and the end of service."""

    def __init__(self, wait_seconds: float) -> None:
        """`wait_seconds`: until load balancers have noticed that this process is not to be used any more."""
        self.wait_seconds = wait_seconds
        self.has_begun = False
        self._in_a_hurry = asyncio.Event()

    async def check(self) -> None:
        """Raise `Unavailable` once this process is going away."""
        if self.has_begun:
            raise Unavailable("This process is about to stop")

    def hurry(self) -> None:
        """Wait for nothing any more but for what is under way: somebody lost patience."""
        self._in_a_hurry.set()

    async def run(self) -> None:
        """Say that this process leaves, and work on until that is known."""
        self.has_begun = True
        log.info("service leaves", seconds=self.wait_seconds)
        await self.pause(self.wait_seconds)

    async def pause(self, seconds: float) -> None:
        """Sleep, unless in a hurry."""
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._in_a_hurry.wait()


class LeavingServer(uvicorn.Server):
    """Goes on serving for a while after the first signal to stop; a second one skips the waiting."""

    def __init__(self, config: uvicorn.Config, leaving: Leaving) -> None:
        super().__init__(config)
        self._leaving = leaving
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        if self.should_exit:
            self._loop.call_soon_threadsafe(self._leaving.hurry)
        super().handle_exit(sig, frame)

    async def leave(self) -> None:
        """Do what has to be done while requests are still answered."""
        await self._leaving.run()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop serving: `CHAT_SHUTDOWN_SECONDS` for requests under way, then the components end."""
        await self.leave()
        seconds = (self.config.timeout_graceful_shutdown or 0) + COMPONENTS_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await super().shutdown(sockets)
        except TimeoutError:
            log.error("the service did not stop in time and ends as it is", seconds=seconds)
        await flush_traces()
