"""Ends the sessions of clients that answer no heartbeat any more, and lets go of sessions that have ended.

One walk over all of them every second, in place of a timer for each. It counts walks, not time: after a
pause of this very process nobody is late.
"""

import math

from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger

from chat_gateway_ws.server import ChatServer

log = get_logger(__name__)

WALK_SECONDS = 1.0


class Heartbeats:
    """Looks after the answers to heartbeats; the sockets send them."""

    def __init__(self, server: ChatServer, timeout_seconds: float) -> None:
        """`timeout_seconds`: how long an answer may take."""
        self._server = server
        self._walks = math.ceil(timeout_seconds / WALK_SECONDS)
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Begin to walk."""
        self._tasks.spawn(run_forever(self.walk, name="heartbeats", pause=WALK_SECONDS), name="heartbeats")

    async def stop(self) -> None:
        """Walk no more."""
        await self._tasks.cancel()

    async def walk(self) -> None:
        """Look at every socket once."""
        for client in self._server.sockets():
            if client.closed:
                self._server.forget(client)
            elif client.count_unanswered() > self._walks:
                log.info("socket closed", reason="ping_timeout")
                await client.close(reason=self._server.reason.PING_TIMEOUT)
