"""A client that answers heartbeats in time and reads not a byte."""

import asyncio
import base64
import os
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from chat_faults.fault import Run
from chat_faults.inspection import metric
from chat_faults.measure import MIB, rss

PONG_SECONDS = 2.0
LARGE = "y" * 4_000
WRITERS = 4
WRITE_PAUSE_SECONDS = 0.06
SMALL_BUFFER = 4_096


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    closed: bool
    seconds: float
    """From the first message that it did not read."""
    grown_mib: float
    """By how much the gateway's memory was above its level before, at the most."""


class SlowReader:
    """A WebSocket by hand, since every library reads by itself."""

    def __init__(self, run: Run, gateway: str) -> None:
        self._run = run
        self._gateway = gateway
        self._socket = socket.socket()

    async def endure(self, timeout: float) -> Outcome:
        """Connect, read nothing while others write much, and return how it ended."""
        run = self._run
        pid = run.rig.process(self._gateway).pid
        await self._connect()
        before = await self._closed_as_slow()
        level = rss(pid)
        peak = level
        began = time.monotonic()
        writing = asyncio.create_task(self._write_much())
        ponging = asyncio.create_task(self._pong())
        closed = False
        try:
            while time.monotonic() - began < timeout and not closed:
                await asyncio.sleep(0.1)
                peak = max(peak, rss(pid))
                closed = await self._closed_as_slow() > before
        finally:
            for task in (writing, ponging):
                task.cancel()
            await asyncio.wait([writing, ponging])
            self._socket.close()
        return Outcome(closed, time.monotonic() - began, (peak - level) / MIB)

    async def _closed_as_slow(self) -> float:
        return await metric(
            self._run.api, self._run.rig, [self._gateway], 'chat_gateway_closed_total{reason="slow"}'
        )

    async def _connect(self) -> None:
        parts = urlsplit(self._run.rig.process(self._gateway).url)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        self._socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, (parts.hostname, parts.port))
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        await loop.sock_sendall(self._socket, request.encode())
        await self._read_until(b'0{"sid"')
        token = orjson.dumps({"token": self._run.load.hot_room.owner.access_token}).decode()
        await self._send(f"40{token}")
        await self._read_until(b"40{")  # the last that is ever read

    async def _read_until(self, mark: bytes) -> None:
        seen = b""
        while mark not in seen:
            data = await asyncio.get_running_loop().sock_recv(self._socket, 1_024)
            if not data:
                raise ConnectionError("the gateway closed the socket at once")
            seen += data

    async def _send(self, text: str) -> None:
        """Send one masked text frame (RFC 6455 §5.2)."""
        data = text.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
        frame = b"\x81" + length + b"\0\0\0\0" + data  # a mask of zeros changes nothing
        await asyncio.get_running_loop().sock_sendall(self._socket, frame)

    async def _pong(self) -> None:
        with suppress(OSError):
            while True:
                await self._send("3")
                await asyncio.sleep(PONG_SECONDS)

    async def _write_much(self) -> None:
        room = self._run.load.hot_room
        senders = [
            client
            for client in self._run.load.clients
            if client.history.user_id in {m.id for m in room.members}
        ]

        async def write(number: int) -> None:
            while True:
                await senders[number].send(room.id, LARGE[:4_000])
                await asyncio.sleep(WRITE_PAUSE_SECONDS)

        await asyncio.gather(*(write(number) for number in range(WRITERS)))
