"""A client that does not read costs its gateway next to nothing, and is let go."""

import asyncio
import base64
import os
import re
import secrets
import socket as sockets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from chat_shared.testing import Connect, NewRoom, NewUser, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

CLOSED_SECONDS = 12.0
"""Ten, and a little for a machine that is busy."""
LARGE = "😀" * 1_000
MEGABYTE = 1_048_576
MASK = bytes(4)

Append = Callable[[str, str, Sequence[str]], Awaitable[None]]


class DeafSocket:
    """A WebSocket on a bare TCP connection: it answers heartbeats that it never reads."""

    def __init__(self, url: str, token: str) -> None:
        self._address = (urlsplit(url).hostname, urlsplit(url).port)
        self._token = token
        self._pongs: asyncio.Task[None] | None = None

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
        await self._send("40" + orjson.dumps({"token": self._token}).decode())
        await self._read_until(b'40{"sid"')
        self._pongs = asyncio.create_task(self._pong_forever())
        return self

    async def __aexit__(self, *_failure: object) -> None:
        if self._pongs is not None:
            self._pongs.cancel()
        self._socket.close()

    async def _read_until(self, part: bytes) -> None:
        received = b""
        while part not in received:
            received += await self._loop.sock_recv(self._socket, 1024)

    async def _send(self, frame: str) -> None:
        data = frame.encode()
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        await self._loop.sock_sendall(self._socket, b"\x81" + length + MASK + data)

    async def _pong_forever(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self._send("3")

    async def is_cut(self) -> bool:
        """Read to the end; tell whether there is one, however the server ended it."""
        try:
            async with asyncio.timeout(2):
                while await self._loop.sock_recv(self._socket, MEGABYTE):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


async def closed_as_slow(url: str) -> int:
    """Return how many sockets a gateway has closed as slow."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        found = re.search(
            r'^chat_gateway_closed_total\{.*reason="slow".*\} (\S+)$', await answer.text(), re.M
        )
    return round(float(found[1])) if found else 0


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def wait_closed_as_slow(url: str, before: int) -> None:
    """Wait until one more socket was closed as slow."""

    async def closed() -> bool:
        return await closed_as_slow(url) > before

    await eventually(closed, timeout=CLOSED_SECONDS)


@pytest.fixture
async def gateway_url(own_stack: "Stack") -> str:
    """A gateway that was started a moment ago, so that nothing else moves its memory."""
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart()
    await gateway.wait_ready()
    return gateway.url


async def test_large_messages_to_who_does_not_read(
    own_stack: "Stack",
    gateway_url: str,
    new_user: NewUser,
    new_room: NewRoom,
    connect: Connect,
    append: Append,
) -> None:
    """The socket is closed within ten seconds, memory stays, and the user gets everything afterwards."""
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice, bob)
    listener = await connect(alice, gateway=1)
    await append(room["id"], alice.id, [LARGE] * 200)
    await listener.wait_for_many("new-message", 200)
    pid = own_stack.process("gateway-ws-2").pid
    closed, memory = await closed_as_slow(gateway_url), resident_bytes(pid)
    async with DeafSocket(gateway_url, bob.access_token) as deaf:
        closing = asyncio.create_task(wait_closed_as_slow(gateway_url, closed))
        most = 0
        while not closing.done():
            await append(room["id"], alice.id, [LARGE] * 50)
            most = max(most, resident_bytes(pid) - memory)
            await asyncio.sleep(0.1)
        await closing
        assert await deaf.is_cut()
    assert most < 5 * MEGABYTE, f"{most / MEGABYTE:.1f} MiB more"
    again = await connect(bob, gateway=1)
    head = (await again.done("join_room", {"roomId": room["id"]}))["head"]
    after = head - 100
    answer = await again.done("sync", {"rooms": [{"roomId": room["id"], "after": after}]})
    assert answer["rooms"][0]["head"] == head
    missed = await again.wait_for_many("new-message", 100)
    assert [message["seq"] for message in missed] == list(range(after + 1, head + 1))


async def test_a_few_messages_that_nobody_takes(
    gateway_url: str, new_user: NewUser, new_room: NewRoom, append: Append
) -> None:
    """Far below every limit: what counts is that nothing gets off."""
    alice = await new_user()
    room = await new_room(alice)
    closed = await closed_as_slow(gateway_url)
    async with DeafSocket(gateway_url, alice.access_token) as deaf:
        await append(room["id"], alice.id, [LARGE] * 120)
        await wait_closed_as_slow(gateway_url, closed)
        assert await deaf.is_cut()


async def test_a_polling_client_that_never_polls(
    gateway_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    user = await new_user()
    await new_room(user)
    closed = await closed_as_slow(gateway_url)
    url = f"{gateway_url}/socket.io/?EIO=4&transport=polling&t={secrets.token_hex(4)}"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as opened:
            sid = orjson.loads((await opened.text())[1:])["sid"]
        connect_packet = "40" + orjson.dumps({"token": user.access_token}).decode()
        async with http.post(f"{url}&sid={sid}", data=connect_packet) as answer:
            assert answer.status == 200
        await wait_closed_as_slow(gateway_url, closed)
        async with http.get(f"{url}&sid={sid}") as answer:
            assert answer.status == 400


async def test_a_slow_but_steady_reader_stays(
    gateway_url: str, new_user: NewUser, new_room: NewRoom, connect: Connect, append: Append
) -> None:
    """A burst above what may wait for long is no reason when the client takes it."""
    alice = await new_user()
    room = await new_room(alice)
    socket = await connect(alice, gateway=1)
    await append(room["id"], alice.id, [LARGE] * 400)
    await socket.wait_for_many("new-message", 400, timeout=10)
    assert socket.connected
