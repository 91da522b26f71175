"""An Engine.IO session over its WebSocket, in one task.

The library has a second one that waits for packets to write, and for each packet of the client a third with
a timer: kilobytes for every silent connection, and most of what its heartbeats cost. Here a writer exists
only while something waits, and a walk over all sockets looks after the answers to heartbeats (`heartbeats`).
"""

import asyncio
from typing import TYPE_CHECKING

from engineio import packet as engine_packet
from engineio.async_drivers.asgi import WebSocket

from chat_gateway_ws.websocket import ShortcutWebSocket

if TYPE_CHECKING:
    from chat_gateway_ws.guarded_socket import GuardedSocket

PROBE = "probe"


class WebSocketSession:
    """Takes what a client sends and writes what waits for it, until one of the two ends."""

    __slots__ = ("_channel", "_client", "_websocket", "_writer")

    def __init__(self, client: "GuardedSocket", websocket: ShortcutWebSocket, channel: WebSocket) -> None:
        """`channel`: the library's face of the WebSocket, with `wait`, `send` and `close`."""
        self._client = client
        self._websocket = websocket
        self._channel = channel
        self._writer: asyncio.Task[None] | None = None

    async def take_over(self) -> bool:
        """Take over from a client's polls; tell whether it really came over (Engine.IO 4, «Upgrade»).

        Raises:
            OSError: the WebSocket ended, or took too long; the client goes on polling.
            ValueError: it sent something that is not Engine.IO.
        """
        self._client.upgrading = True  # polls are answered at once, with nothing
        try:
            async with asyncio.timeout(self._client.server.ping_timeout):
                return await self._comes_over()
        finally:
            self._client.upgrading = False

    async def _comes_over(self) -> bool:
        client, probe = self._client, await self._next_packet()
        if probe.packet_type != engine_packet.PING or probe.data != PROBE:
            return False
        await self._channel.send(engine_packet.Packet(engine_packet.PONG, PROBE).encode())
        client.queue.put_nowait(engine_packet.Packet(engine_packet.NOOP))  # ends the poll under way
        upgrade = await self._next_packet()
        return upgrade.packet_type == engine_packet.UPGRADE and not client.upgraded and not client.closing

    async def _next_packet(self) -> engine_packet.Packet:
        return engine_packet.Packet(encoded_packet=await self._channel.wait())

    async def run(self) -> None:
        """Serve the client.

        Raises:
            OSError: the WebSocket ended.
            SocketIsClosedError: the session is closed, and so is the WebSocket soon.
            Exception: the client sent something that is not Engine.IO.
        """
        self._client.queue.lead_to(self._websocket, self._start_writer)
        while True:
            await self._client.receive(await self._next_packet())
            if not self._websocket.queue.empty():
                await asyncio.sleep(0)  # one who sends a thousand packets at once does not stop all others

    async def end(self) -> None:
        """Write what waits, if the client still takes it, and close the WebSocket."""
        self._client.queue.put_nowait(None)
        if self._writer is not None:
            await self._writer

    def _start_writer(self) -> None:
        self._writer = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        """Write what waits; after the None that ends a session nothing is written any more."""
        queue = self._client.queue
        try:
            while not queue.empty():
                packet = queue.get_nowait()
                if packet is None:
                    break
                await self._channel.send(packet.encode())
            else:
                queue.written()
                return
        except Exception:  # noqa: S110 - the client is gone, and whoever reads from it finds that out
            pass
        await self._channel.close()
