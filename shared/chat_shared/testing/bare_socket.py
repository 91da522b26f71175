"""A client that reads only when a test says so, and sees WebSocket frames as they come."""

import asyncio
import base64
import os
import socket as sockets
import struct
from typing import Self
from urllib.parse import urlsplit

import orjson

from chat_shared.testing.event_contract import check_frame

TEXT_FRAME = 0x81
MASK = bytes(4)
READ_SIZE = 1_048_576
READ_SECONDS = 0.3


class BareSocket:
    """A WebSocket on a bare TCP connection with a small buffer; it answers heartbeats that it never reads."""

    def __init__(self, url: str, token: str) -> None:
        self._address = (urlsplit(url).hostname, urlsplit(url).port)
        self._token = token
        self._pongs: asyncio.Task[None] | None = None
        self._received = b""
        self._reading: asyncio.Task[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._socket = sockets.socket()
        self._socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16_384)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        await self._loop.sock_connect(self._socket, self._address)
        key = base64.b64encode(os.urandom(16)).decode()
        await self._loop.sock_sendall(
            self._socket,
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + key.encode() + b"\r\n\r\n",
        )
        await self._read_until(b'0{"sid"')
        await self.send("40" + orjson.dumps({"token": self._token}).decode())
        await self._read_until(b'40{"sid"')
        self._pongs = asyncio.create_task(self._pong_forever())
        return self

    async def __aexit__(self, *_failure: object) -> None:
        for task in (self._pongs, self._reading):
            if task is not None:
                task.cancel()
        self._socket.close()

    async def _read_until(self, part: bytes) -> None:
        received = b""
        while part not in received:
            received += await self._loop.sock_recv(self._socket, 1024)

    async def send(self, frame: str) -> None:
        """Send a text frame of up to 64 KiB."""
        data = frame.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        await self._loop.sock_sendall(self._socket, b"\x81" + length + MASK + data)

    async def _pong_forever(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self.send("3")

    async def is_cut(self) -> bool:
        """Read to the end; tell whether there is one, however the server ended it."""
        try:
            async with asyncio.timeout(2):
                while await self._loop.sock_recv(self._socket, READ_SIZE):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    async def read_frames(self) -> list[tuple[int, bytes]]:
        """Read for a moment; return the whole frames that came: their first byte and their payload."""
        until = self._loop.time() + READ_SECONDS
        while (left := until - self._loop.time()) > 0 and (part := await self._read(left)):
            self._received += part
        frames = []
        while (frame := self._take_frame()) is not None:
            frames.append(frame)
            if frame[0] == TEXT_FRAME:
                check_frame(frame[1].decode())
        return frames

    async def _read(self, seconds: float) -> bytes:
        """Return what comes within this time. A read is never cancelled: what it had read would be lost."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._loop.sock_recv(self._socket, READ_SIZE))
        done, _ = await asyncio.wait({self._reading}, timeout=seconds)
        if not done:
            return b""
        reading, self._reading = self._reading, None
        return b"" if reading.exception() else reading.result()

    def _take_frame(self) -> tuple[int, bytes] | None:
        if len(self._received) < 4:
            return None
        length, start = self._received[1], 2
        if length == 126:
            (length,), start = struct.unpack("!H", self._received[2:4]), 4
        if len(self._received) < start + length:
            return None
        first, payload = self._received[0], self._received[start : start + length]
        self._received = self._received[start + length :]
        return first, payload
