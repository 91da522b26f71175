"""The proxies, with an echo server behind them."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from chat_faults.network import Links
from chat_shared.testing import eventually

LINK = "link"
WAIT_SECONDS = 5.0
TIMER_SECONDS = 0.001
"""A timer of the event loop may be as early as this: it counts in whole milliseconds."""


class Echo:
    """A server that gives back what it gets."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1_000):
                self.received += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.ended += 1
            writer.close()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    async with Links("1") as links:
        yield links


@pytest.fixture
async def port(echo: Echo, links: Links) -> AsyncIterator[int]:
    """The link's port."""
    server = await asyncio.start_server(echo.serve, "127.0.0.1")
    async with server:
        yield await links.open(LINK, server.sockets[0].getsockname()[1])


async def exchange(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], data: bytes) -> bytes:
    reader, writer = connection
    writer.write(data)
    return await asyncio.wait_for(reader.readexactly(len(data)), WAIT_SECONDS)


async def test_bytes_pass_both_ways_and_the_end_too(port: int, echo: Echo) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    assert await exchange(connection, b"hello") == b"hello"
    connection[1].close()
    await eventually(lambda: echo.ended == 1)


async def test_latency(port: int, links: Links) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    await links.set(LINK, latency=0.1)
    began = time.monotonic()
    assert await exchange(connection, b"slow") == b"slow"
    assert time.monotonic() - began >= 2 * (0.1 - TIMER_SECONDS)


async def test_latency_for_some_connections_only(port: int, links: Links) -> None:
    slow, fast = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    await exchange(slow, b"I am slow")
    await exchange(fast, b"I am fast")
    await links.set(LINK, latency=0.5, only="slow")
    began = time.monotonic()
    waiting = asyncio.create_task(exchange(slow, b"x"))
    await exchange(fast, b"x")
    assert not waiting.done()
    await waiting
    assert time.monotonic() - began >= 2 * (0.5 - TIMER_SECONDS)


@pytest.mark.parametrize("hole", ["hole_up", "hole_down"])
async def test_a_hole_holds_bytes_and_lets_them_go_in_the_end(
    port: int, links: Links, echo: Echo, hole: str
) -> None:
    connection = await asyncio.open_connection("127.0.0.1", port)
    await exchange(connection, b"before")
    async with links.broken(LINK, **{hole: True}):
        connection[1].write(b"during")
        if hole == "hole_down":
            await eventually(lambda: echo.received == b"beforeduring")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection[0].read(1), 0.2)
        if hole == "hole_up":
            assert echo.received == b"before"
    assert await asyncio.wait_for(connection[0].readexactly(6), WAIT_SECONDS) == b"during"


async def test_reset_ends_both_halves(port: int, links: Links, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await exchange((reader, writer), b"x")
    assert await links.cut(LINK) == 1
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), WAIT_SECONDS)
    await eventually(lambda: echo.ended == 1)


async def test_half_open_ends_the_client_alone(port: int, links: Links, echo: Echo) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await exchange((reader, writer), b"x")
    await links.cut(LINK, half_open=True)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(1), WAIT_SECONDS)
    assert echo.ended == 0


async def test_down_and_up_again_at_the_same_port(port: int, links: Links) -> None:
    await links.down(LINK)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await links.up(LINK)
    assert await exchange(await asyncio.open_connection("127.0.0.1", port), b"back") == b"back"


async def test_a_command_that_fails_says_so(links: Links) -> None:
    with pytest.raises(RuntimeError, match="KeyError"):
        await links.down("unknown")
