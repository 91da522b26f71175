"""Finds clients that do not read, whatever else they do: answering heartbeats is not reading.

One walk over all of them every second. It counts walks, not time: after a pause of this very process
nobody is late.
"""

import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any, Protocol

from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger

from chat_gateway_ws.close_reasons import SLOW
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.guarded_socket import GuardedSocket, cut
from chat_gateway_ws.send_queue import SendLimits
from chat_gateway_ws.server import ChatServer

log = get_logger(__name__)

WALK_SECONDS = 1.0
STUCK_WALKS = 7
"""So many walks without anything getting off, and a client is closed before ten seconds are over."""
UNSENT_IN_KERNEL = 131_072
_TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)


def bound_kernel_buffer(listening: socket.socket) -> None:
    """Have the kernel hold no megabytes for a peer that does not read; accepted connections inherit this.

    It bounds what was not sent yet, so a fast connection over a long way is as fast as before.
    """
    with suppress(OSError):  # not every system has it; then a slow client is only found later
        listening.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL)


class HasTransport(Protocol):
    """A connection of the HTTP server, of any protocol."""

    transport: Any


class StuckTransports:
    """Counts for each TCP connection how long its peer has taken nothing of what is buffered for it."""

    def __init__(self) -> None:
        self._seen: dict[Any, tuple[int, int]] = {}
        """transport -> bytes buffered at the last walk, walks since they became fewer."""

    def walk(self, transports: Iterable[Any]) -> set[Any]:
        """Return those whose buffer has not become smaller for too long.

        A client that reads, however slowly, makes it smaller: what is added comes after room was made.
        """
        before, self._seen = self._seen, {}
        for transport in transports:
            size = transport.get_write_buffer_size()
            if size:
                last_size, walks = before.get(transport, (0, 0))
                self._seen[transport] = (size, 0 if size < last_size else walks + 1)
        return {transport for transport, (_, walks) in self._seen.items() if walks > STUCK_WALKS}


class SlowReaders:
    """Closes as slow whoever has too much waiting for too long, or takes nothing at all."""

    def __init__(self, server: ChatServer, connections: Connections, limits: SendLimits) -> None:
        self._server = server
        self._connections = connections
        self._limits = limits
        self._stuck = StuckTransports()
        self._tcp: Collection[HasTransport] = ()
        self._tasks = TaskSet()

    def watch(self, tcp: Collection[HasTransport]) -> None:
        """Look at these TCP connections too: all that the HTTP server has at any time."""
        self._tcp = tcp

    async def start(self) -> None:
        """Begin to walk."""
        self._tasks.spawn(
            run_forever(self.walk, name="slow-readers", pause=WALK_SECONDS), name="slow-readers"
        )

    async def stop(self) -> None:
        """Walk no more."""
        await self._tasks.cancel()

    async def walk(self) -> None:
        """Look at every client once."""
        stuck = self._stuck.walk([connection.transport for connection in self._tcp])
        for client in self._server.sockets():
            if not client.closing and (self._is_slow(client) or client.transport in stuck):
                self._close(client.sid)
        for transport in stuck:  # whatever it served: an answer to a poll, a page, a farewell
            cut(transport)

    def _is_slow(self, client: GuardedSocket) -> bool:
        too_much = client.queue.stayed_above(self._limits.packets, self._limits.size)
        return client.count_unpolled() > STUCK_WALKS or too_much

    def _close(self, eio_sid: str) -> None:
        connection = self._connections.get(eio_sid)
        if connection is not None:
            connection.close(SLOW)
        else:
            self._server.close(eio_sid, SLOW)
