"""The Engine.IO socket with the guards that the library leaves to its users."""

from typing import Any

import engineio.async_socket
from chat_shared.logging import get_logger
from engineio import packet as engine_packet
from engineio.exceptions import SocketIsClosedError

log = get_logger(__name__)

#: What a client sends once the connection stands; the library skips anything else.
CLIENT_PACKETS = frozenset(
    {engine_packet.CLOSE, engine_packet.PONG, engine_packet.MESSAGE, engine_packet.UPGRADE}
)


class GuardedSocket(engineio.async_socket.AsyncSocket):  # type: ignore[misc] # the library is not typed
    """Closes on the first broken frame, and knows the transport below so that it can cut a dead one.

    The library creates its own class by name; `adopt` turns such a socket into this one.
    """

    transport: Any = None

    @classmethod
    def adopt(cls, socket: engineio.async_socket.AsyncSocket) -> "GuardedSocket":
        """Make a socket that the library created a guarded one."""
        socket.__class__ = cls
        assert isinstance(socket, cls)  # noqa: S101 - tells the type checker
        return socket

    async def _upgrade_websocket(self, environ: dict[str, Any]) -> Any:
        protocol = getattr(environ["asgi.send"], "__self__", None)
        self.transport = getattr(protocol, "transport", None)
        return await super()._upgrade_websocket(environ)

    async def _websocket_handler(self, ws: Any) -> None:
        try:
            await super()._websocket_handler(ws)
        except Exception as error:
            # An Engine.IO frame that cannot be parsed raises here and would leave the session half open.
            log.info("socket closed", reason="protocol_error", error=type(error).__name__)
            await self.close()
            await ws.close()

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
        await super().close(wait=False, abort=abort, reason=reason)
        self.queue.put_nowait(None)

    def abort(self) -> None:
        """Cut the TCP connection: for a peer that does not read, a polite close would wait for ever."""
        if self.transport is not None:
            self.transport.abort()
