"""The Engine.IO socket with the guards that the library leaves to its users."""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import engineio.async_socket
from chat_shared.logging import get_logger
from engineio import packet as engine_packet
from engineio.async_drivers.asgi import WebSocket
from engineio.exceptions import QueueEmpty, SocketIsClosedError

from chat_gateway_ws.websocket import ShortcutWebSocket
from chat_gateway_ws.websocket_session import WebSocketSession
from chat_gateway_ws.wire import EVENT_PREFIX, ReadyPacket

log = get_logger(__name__)

#: What a client sends once the connection stands; the library skips anything else.
CLIENT_PACKETS = frozenset(
    {engine_packet.CLOSE, engine_packet.PONG, engine_packet.MESSAGE, engine_packet.UPGRADE}
)
#: Bytes after which the answer to a poll is full; the rest comes with the next one.
POLL_SIZE = 262_144
PING = ReadyPacket(str(engine_packet.PING))
PONG_TEXT = str(engine_packet.PONG)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def cut(transport: Any) -> None:
    """End a TCP connection at once: with a reset, so that the kernel keeps nothing for the peer either."""
    with suppress(OSError):  # it is gone already
        connection = transport.get_extra_info("socket")
        if connection is not None and not transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class GuardedSocket(engineio.async_socket.AsyncSocket):  # type: ignore[misc] # the library is not typed
    """Closes on the first broken frame, and knows the transport below so that it can cut a dead one.

    The library creates its own class by name; `adopt` turns such a socket into this one.
    """

    transport: Any = None
    """The TCP connection of a WebSocket; polls come over any."""
    address = ""
    """Of the client, as the trusted proxies tell it."""
    on_event: Callable[[str], bool] | None = None
    """Takes an event of a client that is let in, as text; tells whether it may send more at once."""
    connected: bool
    """Whether a client polls, or its WebSocket is open."""
    websocket: ShortcutWebSocket | None = None
    """What the session goes over; None while it polls."""
    last_ping: float | None
    """When the heartbeat went out that was not answered yet."""
    _ping: asyncio.TimerHandle | None = None
    _unanswered = 0
    _taken = 0
    _unpolled = 0

    @classmethod
    def adopt(cls, socket: engineio.async_socket.AsyncSocket, environ: dict[str, Any]) -> "GuardedSocket":
        """Make a socket that the library created, for this request, a guarded one."""
        socket.__class__ = cls
        assert isinstance(socket, cls)  # noqa: S101 - tells the type checker
        client = environ["asgi.scope"].get("client")
        socket.address = client[0] if client else ""
        return socket

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        if self.upgraded:
            raise OSError("the session has a WebSocket already")
        websocket = getattr(environ["asgi.send"], "__self__", None)
        assert isinstance(websocket, ShortcutWebSocket)  # noqa: S101 - what the gateway's server is made with
        return await WebSocket(partial(self._serve_websocket, environ, websocket), self.server)(environ)

    async def _serve_websocket(
        self, environ: dict[str, Any], websocket: ShortcutWebSocket, channel: WebSocket
    ) -> None:
        """Serve an open WebSocket until it ends, and with it the session."""
        environ.clear()  # the library keeps it for as long as this runs
        websocket.forget_handshake()
        session = WebSocketSession(self, websocket, channel)
        try:
            if self.connected and not await session.take_over():
                return
            self.connected = self.upgraded = True
            self.websocket, self.transport = websocket, websocket.transport
            await session.run()
        except (OSError, SocketIsClosedError):
            pass
        except Exception as error:
            log.info("socket closed", reason="protocol_error", error=type(error).__name__)
            await self.close()
        if self.websocket is websocket:
            await session.end()
            await self.close(abort=True, reason=self.server.reason.TRANSPORT_CLOSE)

    async def poll(self) -> list[engine_packet.Packet]:
        """Return what is to be sent next, as soon as there is something; nothing at all ends the connection.

        The library takes everything at once. Here the answer to a poll is bounded.

        Raises:
            QueueEmpty: there was nothing to send for so long that the client must be gone.
        """
        try:
            async with asyncio.timeout(self.server.ping_interval + self.server.ping_timeout):
                await self.queue.filled()
        except (TimeoutError, asyncio.CancelledError):
            if not self.upgraded:
                raise QueueEmpty from None
        if self.upgraded:  # this poll was forgotten, and what waits is not for it
            return [engine_packet.Packet(engine_packet.NOOP)]
        packet = self.queue.get_nowait()
        if packet is None:
            return []
        packets, size = [packet], sys.getsizeof(packet.data)
        while not (self.queue.empty() or size > POLL_SIZE):
            packet = self.queue.get_nowait()
            if packet is None:
                self.queue.put_nowait(None)
                break
            packets.append(packet)
            size += sys.getsizeof(packet.data)
        return packets

    def schedule_ping(self) -> None:
        """Send the next heartbeat in time, unless one is waited for.

        The library has a task for it, which would keep a closed session in memory until then.
        """
        if self.last_ping:
            self.last_ping = None
            self._unanswered = 0
            self._ping = asyncio.get_running_loop().call_later(self.server.ping_interval, self._send_ping_now)

    def _send_ping_now(self) -> None:
        if not self.closing:
            self.last_ping = time.time()
            self.queue.send(PING)

    async def check_ping_timeout(self) -> bool:
        """Tell whether packets may be sent: whose heartbeat stays out is found by the walk over all sockets.

        Raises:
            SocketIsClosedError: the session is closed.
        """
        if self.closed:
            raise SocketIsClosedError
        return True

    def count_unanswered(self) -> int:
        """Return how many times in a row this was called while the same heartbeat was not answered."""
        self._unanswered = self._unanswered + 1 if self.last_ping else 0
        return self._unanswered

    def count_unpolled(self) -> int:
        """Return how many times in a row this was called while packets waited and a client took none."""
        idle = not self.upgraded and not self.queue.empty() and self.queue.taken == self._taken
        self._taken = self.queue.taken
        self._unpolled = self._unpolled + 1 if idle else 0
        return self._unpolled

    async def receive(self, pkt: engine_packet.Packet) -> None:
        """Take a packet of the client.

        Raises:
            SocketIsClosedError: no client sends this; the session is ended.
        """
        if pkt.packet_type not in CLIENT_PACKETS:
            log.info("socket closed", reason="protocol_error", packet_type=pkt.packet_type)
            await self.close()
            raise SocketIsClosedError
        await super().receive(pkt)
        self._shorten_the_way()

    def _shorten_the_way(self) -> None:
        """Take events and heartbeats where they arrive, now that everything before them was taken."""
        websocket = self.websocket
        if self.on_event is not None and websocket is not None and websocket.queue.empty():
            websocket.on_text = partial(self._take, websocket, self.on_event)

    def _take(self, websocket: ShortcutWebSocket, on_event: Callable[[str], bool], text: str) -> bool:
        if self.closing:
            return False
        if text.startswith(EVENT_PREFIX):
            if not on_event(text):
                websocket.on_text = None
            return True
        if text == PONG_TEXT:
            self.schedule_ping()
            return True
        return False

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Take polled packets; a broken one, or a body of unknown or too large size, ends the session.

        Raises:
            SocketIsClosedError: the request is answered with 400. The session is ended before that, because
                the library would wait here until the client has polled everything.
        """
        try:
            if "CONTENT_LENGTH" not in environ:
                raise ValueError("a body without a length")
            await super().handle_post_request(environ)
        except Exception as error:
            log.info("socket closed", reason="protocol_error", error=type(error).__name__)
            await self.close()
            raise SocketIsClosedError from error

    async def close(self, wait: bool = True, abort: bool = False, reason: Any = None) -> None:
        """End the session; what is queued is still sent, unless the peer ended it (`abort`).

        The library would wait for a client to read everything (`wait`), and would leave a pending poll
        without an answer until the heartbeat is over; the None at the end of the queue releases both.
        """
        if self._ping is not None:
            self._ping.cancel()
        await super().close(wait=False, abort=abort, reason=reason)
        self.queue.put_nowait(None)

    def abort(self) -> None:
        """Cut the TCP connection: for a peer that does not read, a polite close would wait for ever."""
        if self.transport is not None:
            cut(self.transport)
