"""A small TCP proxy whose links can be slow, silent, cut or deaf, in the manner of toxiproxy.

A hole holds bytes back and passes them on when it is mended, as TCP does with a network that drops packets
for a while: what was sent into it can still arrive late.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chat_faults.network.resp import PushDropper

LINGER_ZERO = struct.pack("ii", 1, 0)
"""Closing with this makes TCP send RST instead of FIN."""


@dataclass
class Toxics:
    """What is wrong with a link right now. `up` is from the client to the server, `down` back."""

    latency: float = 0.0
    """Seconds that bytes take in each direction."""
    jitter: float = 0.0
    """Seconds by which the latency varies, either way."""
    only: bytes = b""
    """Latency concerns only connections whose first bytes contain this; empty means all."""
    hole_up: bool = False
    hole_down: bool = False
    drop_pushes: float = 0.0
    """The share of Redis pub/sub messages that get lost."""


class Direction:
    """The bytes of one connection in one direction."""

    def __init__(self, link: "Link", is_hole: Callable[[Toxics], bool]) -> None:
        self._link = link
        self._is_hole = is_hole
        self.target: asyncio.Transport | None = None
        self._held: list[bytes] = []
        self._due = 0.0
        self._closing = False
        self.is_slow = False
        """Whether the link's latency concerns this connection."""
        self.dropper: PushDropper | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes and pass them on as the link's state allows."""
        if self.dropper is not None:
            data = self.dropper.passing(data)
        self._held.append(data)
        self.flush()

    def end(self) -> None:
        """The sender closed: so do we, once everything before has passed."""
        self._closing = True
        self.flush()

    def flush(self) -> None:
        """Send what is held, unless there is a hole."""
        if self.target is None or self._is_hole(self._link.toxics):
            return
        data, self._held = b"".join(self._held), []
        delay = self._delay()
        if data:
            self._later(delay, self._write, data)
        if self._closing:
            self._later(delay, self.target.close)

    def _write(self, data: bytes) -> None:
        if self.target is not None and not self.target.is_closing():
            self.target.write(data)

    def _delay(self) -> float:
        toxics = self._link.toxics
        if not self.is_slow or not toxics.latency:
            return 0.0
        return max(0.0, toxics.latency + self._link.rng.uniform(-toxics.jitter, toxics.jitter))

    def _later(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not delay and self._due <= now:
            act(*arguments)
            return
        self._due = max(now + delay, self._due + 1e-6)  # bytes never overtake each other
        loop.call_at(self._due, act, *arguments)


class Connection:
    """One client's connection and its twin to the server."""

    def __init__(self, link: "Link") -> None:
        self.link = link
        self.client: asyncio.Transport | None = None
        self.server: asyncio.Transport | None = None
        self.up = Direction(link, lambda toxics: toxics.hole_up)
        self.down = Direction(link, lambda toxics: toxics.hole_down)
        self._first: bytes | None = None

    def note_first(self, data: bytes) -> None:
        """Look at the first bytes of the client, by which a link tells its connections apart."""
        if self._first is None:
            self._first = data
            self.refresh()

    def refresh(self) -> None:
        """Apply the link's state to this connection."""
        toxics = self.link.toxics
        is_slow = toxics.only in (self._first or b"")
        self.up.is_slow = self.down.is_slow = is_slow
        if toxics.drop_pushes and self.down.dropper is None:
            self.down.dropper = PushDropper(toxics.drop_pushes, self.link.rng)
        elif not toxics.drop_pushes and self.down.dropper is not None:
            dropper, self.down.dropper = self.down.dropper, None
            self.link.dropped += dropper.dropped
            self.down.feed(dropper.rest())
        self.up.flush()
        self.down.flush()

    def reset(self) -> None:
        """Cut both halves with RST."""
        for transport in (self.client, self.server):
            _abort_with_reset(transport)

    def half_open(self) -> None:
        """Cut the client and leave the server in the belief that it is still there."""
        client, self.client, self.down.target = self.client, None, None
        _abort_with_reset(client)


def _abort_with_reset(transport: asyncio.Transport | None) -> None:
    if transport is None or transport.is_closing():
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    transport.abort()


class _ClientHalf(asyncio.Protocol):
    def __init__(self, link: "Link") -> None:
        self._connection = Connection(link)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = self._connection
        connection.client = connection.down.target = transport  # type: ignore[assignment]
        connection.link.connections.add(connection)
        connection.link.spawn(_connect(connection))

    def data_received(self, data: bytes) -> None:
        self._connection.note_first(data)
        self._connection.up.feed(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connection.link.connections.discard(self._connection)
        if self._connection.client is not None:
            self._connection.up.end()

    def pause_writing(self) -> None:
        if self._connection.server is not None and not self._connection.server.is_closing():
            self._connection.server.pause_reading()

    def resume_writing(self) -> None:
        if self._connection.server is not None and not self._connection.server.is_closing():
            self._connection.server.resume_reading()


class _ServerHalf(asyncio.Protocol):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.server = self._connection.up.target = transport  # type: ignore[assignment]
        self._connection.refresh()

    def data_received(self, data: bytes) -> None:
        self._connection.down.feed(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connection.down.end()

    def pause_writing(self) -> None:
        if self._connection.client is not None and not self._connection.client.is_closing():
            self._connection.client.pause_reading()

    def resume_writing(self) -> None:
        if self._connection.client is not None and not self._connection.client.is_closing():
            self._connection.client.resume_reading()


async def _connect(connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(lambda: _ServerHalf(connection), "127.0.0.1", connection.link.target)
    except OSError:
        connection.reset()


@dataclass
class Link:
    """One port that clients connect to, and the server behind it."""

    target: int
    rng: random.Random
    port: int = 0
    toxics: Toxics = field(default_factory=Toxics)
    connections: set[Connection] = field(default_factory=set)
    dropped: int = 0
    """Pub/sub messages that were lost on purpose so far."""
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Listen; the first time on a free port, later on the same one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _ClientHalf(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse new connections and cut the old ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut(1.0, half_open=False)

    def spawn(self, work: Any) -> None:
        """Run `work` and keep it from garbage collection."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def set(self, toxics: Toxics) -> None:
        """Change what is wrong with the link."""
        self.toxics = toxics
        for connection in list(self.connections):
            connection.refresh()

    def cut(self, share: float, *, half_open: bool) -> int:
        """Cut a share of the connections; return how many."""
        connections = sorted(self.connections, key=id)
        chosen = self.rng.sample(connections, round(len(connections) * share))
        for connection in chosen:
            if half_open:
                connection.half_open()
            else:
                connection.reset()
        return len(chosen)
