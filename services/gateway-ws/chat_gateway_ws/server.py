"""python-socketio as a transport: handshake and framing are the library's, everything else is ours.

What the library would do by itself and must not: run handlers out of order or for reserved event names,
accept binary packets, keep a socket open after a broken frame or without a CONNECT, queue without bound.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import socketio
from chat_shared.errors import ChatError
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from socketio import packet as socketio_packet
from socketio.exceptions import ConnectionRefusedError as ConnectRefused

from chat_gateway_ws.close_reasons import (
    CONNECT_TIMEOUT,
    CROWDED_OUT,
    PROTOCOL_ERROR,
    SHUTDOWN,
    SLOW,
    CloseReason,
)
from chat_gateway_ws.errors import connect_refusal
from chat_gateway_ws.guarded_socket import GuardedSocket
from chat_gateway_ws.handshakes import Handshakes
from chat_gateway_ws.metrics import CLOSED, CONNECTS_REFUSED
from chat_gateway_ws.send_queue import SendQueue
from chat_gateway_ws.settings import Settings
from chat_gateway_ws.wire import (
    DISCONNECT_FRAME,
    EVENT_PREFIX,
    EVENT_TYPE,
    Json,
    ProtocolError,
    ReadyPacket,
    TextPacket,
    parse_event,
)

log = get_logger(__name__)

CLOSE_SECONDS = 2.0
NAMESPACE = "/"
#: What the library keeps of the request of each session, and nobody reads.
NO_ENVIRON: dict[str, Any] = {}
#: Whose client does not read, or is one too many, is cut without a farewell.
ABRUPT = frozenset({SLOW, CROWDED_OUT})

OnConnect = Callable[[str, Any], Awaitable[None]]
OnConnected = Callable[[str], None]
OnEvent = Callable[[str, str, Any, int | None], bool]
OnClosed = Callable[[str], None]


class ChatServer(socketio.AsyncServer):  # type: ignore[misc] # the library is not typed
    """The Socket.IO server of one gateway; sockets are known by their Engine.IO session id."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            async_mode="asgi",
            json=Json,
            serializer=TextPacket,
            async_handlers=False,
            always_connect=False,
            namespaces=[NAMESPACE],
            cors_allowed_origins=sorted(settings.origins),
            transports=["polling", "websocket"] if settings.polling else ["websocket"],
            ping_interval=settings.ping_interval_seconds,
            ping_timeout=settings.ping_timeout_seconds,
            max_http_buffer_size=settings.max_frame_bytes,
            http_compression=False,
            monitor_clients=False,  # `Heartbeats` does it
            cookie=None,
        )
        self._connect_timeout = settings.connect_timeout_seconds
        self._handshakes = Handshakes(settings.max_handshakes, settings.handshakes_per_address)
        self._tasks = TaskSet()
        self.eio.create_queue = SendQueue
        self.on("connect", self._on_connect_event)

    def use(self, connect: OnConnect, connected: OnConnected, event: OnEvent, closed: OnClosed) -> None:
        """Set what happens to sockets.

        Args:
            connect: `(eio_sid, auth)` admits a socket or raises a ChatError.
            connected: `(eio_sid)`, once the CONNECT answer is in the queue.
            event: `(eio_sid, name, payload, ack_id)`, in the order in which the client sent them; tells
                whether the client may go on at this rate.
            closed: `(eio_sid)`, exactly once for every Engine.IO session.
        """
        self._connect, self._connected, self._event, self._closed = connect, connected, event, closed

    async def stop(self) -> None:
        """End the library's background work and ours."""
        await self._tasks.cancel()
        with suppress(Exception):
            await self.shutdown()

    def socket(self, eio_sid: str) -> GuardedSocket | None:
        """Return the socket of an Engine.IO session."""
        socket: GuardedSocket | None = self.eio.sockets.get(eio_sid)
        return socket

    def sockets(self) -> list[GuardedSocket]:
        """Return all sockets, whoever they belong to."""
        return list(self.eio.sockets.values())

    def forget(self, socket: GuardedSocket) -> None:
        """Let go of a closed socket."""
        self.eio.sockets.pop(socket.sid, None)

    def close(self, eio_sid: str, reason: CloseReason) -> None:
        """Close a socket soon; what was queued before is sent first, unless the client does not read."""
        CLOSED.labels(reason.code).inc()
        self._tasks.spawn(self._close(eio_sid, reason), name="socket-close")

    def close_all(self) -> None:
        """Close whoever is left, such as who never logged in; a poll would hold up the end of the process."""
        for socket in self.sockets():
            if not socket.closing:
                self.close(socket.sid, SHUTDOWN)

    async def _close(self, eio_sid: str, reason: CloseReason) -> None:
        socket = self.socket(eio_sid)
        if socket is None:
            return
        log.info("socket closed", reason=reason.code)
        if reason in ABRUPT:
            await socket.close(abort=True)
            socket.queue.discard()
            socket.queue.put_nowait(None)
            socket.abort()
            self.eio.sockets.pop(eio_sid, None)
            return
        if not reason.reconnect:
            socket.queue.put_nowait(ReadyPacket(DISCONNECT_FRAME))
        await socket.close()
        await asyncio.sleep(CLOSE_SECONDS)
        socket.abort()

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        GuardedSocket.adopt(self.eio.sockets[eio_sid], environ)
        await super()._handle_eio_connect(eio_sid, environ)
        self.environ[eio_sid] = NO_ENVIRON
        self._begin_handshake(eio_sid)
        asyncio.get_running_loop().call_later(self._connect_timeout, self._expire, eio_sid)

    def _begin_handshake(self, eio_sid: str) -> None:
        """Note that a session has to ask to be let in, and make room for it."""
        socket = self.socket(eio_sid)
        if socket is None or socket.closing:
            return
        crowded_out = self._handshakes.add(eio_sid, socket.address)
        if crowded_out is not None:
            self.close(crowded_out, CROWDED_OUT)

    def _expire(self, eio_sid: str) -> None:
        """Close a socket that has no namespace in time: it holds memory and proves nothing."""
        if self.socket(eio_sid) is not None and not self._is_connected(eio_sid):
            self.close(eio_sid, CONNECT_TIMEOUT)

    def _is_connected(self, eio_sid: str) -> bool:
        sid = self.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        return bool(self.manager.is_connected(sid, NAMESPACE))

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            if isinstance(data, str) and data.startswith(EVENT_TYPE) and self._is_connected(eio_sid):
                self._event(eio_sid, *parse_event(data, 1))
            else:
                await self._handle_packet(eio_sid, TextPacket(encoded_packet=data))
        except ProtocolError:
            self.close(eio_sid, PROTOCOL_ERROR)
        except Exception as error:
            log.error("packet failed", exc_info=error)
            self.close(eio_sid, PROTOCOL_ERROR)

    async def _handle_packet(self, eio_sid: str, packet: TextPacket) -> None:
        if packet.namespace not in (None, NAMESPACE):
            raise ProtocolError("there is one namespace")
        if packet.packet_type == socketio_packet.CONNECT:
            await self._let_in(eio_sid, packet.data)
        elif packet.packet_type == socketio_packet.DISCONNECT:
            await self._handle_disconnect(eio_sid, NAMESPACE, self.reason.CLIENT_DISCONNECT)
            self._closed(eio_sid)
        elif packet.packet_type != socketio_packet.ACK:
            raise ProtocolError("unexpected packet")

    async def _let_in(self, eio_sid: str, auth: Any) -> None:
        if self._is_connected(eio_sid):
            raise ProtocolError("connected already")
        self._handshakes.remove(eio_sid)
        await self._handle_connect(eio_sid, NAMESPACE, auth)
        socket = self.socket(eio_sid)
        if self._is_connected(eio_sid):
            self._connected(eio_sid)
            if socket is not None:
                socket.on_event = partial(self._take_event, eio_sid)
        else:
            self._begin_handshake(eio_sid)

    def _take_event(self, eio_sid: str, text: str) -> bool:
        """Take an event of a socket that is let in; tell whether its next ones may come as directly as this.

        Who sends too fast goes through a queue that stops reading from it.
        """
        try:
            return self._event(eio_sid, *parse_event(text, len(EVENT_PREFIX)))
        except ProtocolError:
            self.close(eio_sid, PROTOCOL_ERROR)
        except Exception as error:
            log.error("packet failed", exc_info=error)
            self.close(eio_sid, PROTOCOL_ERROR)
        return False

    async def _on_connect_event(self, _sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Admit a socket; a TypeError must not leave this, or the library calls it a second time."""
        eio_sid = self.manager.eio_sid_from_sid(_sid, NAMESPACE)
        try:
            await self._connect(eio_sid, auth)
        except Exception as error:
            failure = error if isinstance(error, ChatError) else ChatError()
            if failure is not error:
                log.error("connect failed", exc_info=error)
            CONNECTS_REFUSED.labels(failure.code).inc()
            refusal = connect_refusal(failure)
            raise ConnectRefused(failure.message, refusal.model_dump(exclude_none=True)) from error

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        try:
            await super()._handle_eio_disconnect(eio_sid, reason)
        finally:
            self._handshakes.remove(eio_sid)
            self._closed(eio_sid)
