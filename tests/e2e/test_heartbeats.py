"""Who is still there: sessions end when their client answers no more, and not when the gateway was away."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest
from chat_shared.testing import NewRoom, NewUser, RawSocket, User, eventually
from yarl import URL

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

INTERVAL_SECONDS, TIMEOUT_SECONDS = 0.5, 2.0
SETTINGS = {
    "CHAT_PING_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
    "CHAT_PING_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
}


@pytest.fixture
async def gateway(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """A gateway that is impatient."""
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart(extra_env=SETTINGS)
    await gateway.wait_ready()
    yield gateway
    await gateway.restart()
    await gateway.wait_ready()


class Polling:
    """A client that polls, by hand."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url, self._http = f"{url}/socket.io/?EIO=4&transport=polling", http
        self.sid = ""

    async def open(self, user: User) -> None:
        """Begin a session and log in."""
        opened = orjson.loads((await self.poll())[1:])
        self.sid = opened["sid"]
        self._url += f"&sid={self.sid}"
        await self.post("40" + orjson.dumps({"token": user.access_token}).decode())
        while "40{" not in await self.poll():
            pass

    async def poll(self) -> str:
        """Return the next packets."""
        async with self._http.get(self._url) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise ConnectionError(text)
            return text

    async def begin_poll(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a poll; return its connection, on which nothing but the answer will come."""
        address = URL(self._url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET {address.raw_path_qs} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        return reader, writer

    async def post(self, packets: str) -> None:
        """Send packets."""
        async with self._http.post(self._url, data=packets) as answer:
            assert (answer.status, await answer.text()) == (200, "OK")

    async def come_over(self, url: str) -> aiohttp.ClientWebSocketResponse:
        """Open the WebSocket of this session and ask whether it works."""
        websocket = await self._http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket&sid={self.sid}")
        await websocket.send_str("2probe")
        assert await websocket.receive_str() == "3probe"
        return websocket


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        yield http


async def sockets_of(gateway: "ManagedProcess", http: aiohttp.ClientSession) -> int:
    async with http.get(f"{gateway.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return round(
        float(next(line for line in lines if line.startswith("chat_gateway_connections ")).split()[1])
    )


async def test_a_websocket_ends_when_nobody_answers_and_stays_when_somebody_does(
    gateway: "ManagedProcess", new_user: NewUser
) -> None:
    user = await new_user()
    async with RawSocket(gateway.url) as answering, RawSocket(gateway.url) as silent:
        silent.answers_heartbeats = False
        for socket in (answering, silent):
            await socket.log_in(user.access_token)
        await silent.wait_closed(timeout=20)
        assert silent.heartbeats == 1
        seen = answering.heartbeats
        await eventually(lambda: answering.heartbeats > seen + 3, timeout=20)
        assert not answering.closed.is_set()


async def test_a_polling_client_that_went_away_is_forgotten(
    gateway: "ManagedProcess", http: aiohttp.ClientSession, new_user: NewUser
) -> None:
    polling = Polling(gateway.url, http)
    await polling.open(await new_user())
    assert await sockets_of(gateway, http) == 1

    async def is_gone() -> bool:
        return await sockets_of(gateway, http) == 0

    await eventually(is_gone, timeout=20)
    with pytest.raises(ConnectionError):
        await polling.poll()


async def test_a_frozen_gateway_blames_nobody_for_its_silence(
    gateway: "ManagedProcess", new_user: NewUser
) -> None:
    user = await new_user()
    async with RawSocket(gateway.url) as socket:
        await socket.log_in(user.access_token)
        await eventually(lambda: socket.heartbeats > 0, timeout=20)
        socket.answers_heartbeats = False
        seen = socket.heartbeats
        await eventually(lambda: socket.heartbeats > seen, timeout=20)
        gateway.kill(signal.SIGSTOP)
        try:
            await socket.send("3")  # the answer comes in time, and nobody is there to read it
            await asyncio.sleep(2 * TIMEOUT_SECONDS)
        finally:
            gateway.kill(signal.SIGCONT)
        socket.answers_heartbeats = True
        seen = socket.heartbeats
        await eventually(lambda: socket.heartbeats > seen + 3, timeout=20)
        assert not socket.closed.is_set()


async def test_who_gives_up_coming_over_goes_on_polling(
    gateway: "ManagedProcess", http: aiohttp.ClientSession, new_user: NewUser, new_room: NewRoom
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    polling = Polling(gateway.url, http)
    await polling.open(alice)
    await (await polling.come_over(gateway.url)).close()
    await polling.post('421["join_room",' + orjson.dumps({"roomId": room["id"]}).decode() + "]")
    got = ""
    while "431[" not in got:
        got += await polling.poll()
        if "2" in got.split("\x1e"):
            await polling.post("3")
    assert '"ok":true' in got


async def test_one_of_two_websockets_takes_over(
    gateway: "ManagedProcess", http: aiohttp.ClientSession, new_user: NewUser
) -> None:
    polling = Polling(gateway.url, http)
    await polling.open(await new_user())
    first, second = await polling.come_over(gateway.url), await polling.come_over(gateway.url)
    await first.send_str("5")
    await first.send_str('421["nonsense"]')
    received = [await first.receive_str()]
    while not received[-1].startswith("431["):
        received.append(await first.receive_str())
    await second.send_str("5")
    assert (await second.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    await first.send_str('422["nonsense"]')
    while not received[-1].startswith("432["):
        received.append(await first.receive_str())
    assert not first.closed
    await first.close()


async def test_a_websocket_that_says_nothing_does_not_stay(
    gateway: "ManagedProcess", http: aiohttp.ClientSession, new_user: NewUser
) -> None:
    polling = Polling(gateway.url, http)
    await polling.open(await new_user())
    silent = await http.ws_connect(f"{gateway.url}/socket.io/?EIO=4&transport=websocket&sid={polling.sid}")
    half_way = await polling.come_over(gateway.url)

    async def keep_polling() -> None:
        while True:
            if "2" in (await polling.poll()).split("\x1e"):
                await polling.post("3")

    alive = asyncio.create_task(keep_polling())
    async with asyncio.timeout(20):
        for websocket in (silent, half_way):
            assert (await websocket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert not alive.done()
    alive.cancel()
    assert await sockets_of(gateway, http) == 1


async def test_a_poll_that_was_forgotten_takes_nothing_from_the_websocket(
    gateway: "ManagedProcess", http: aiohttp.ClientSession, new_user: NewUser
) -> None:
    polling = Polling(gateway.url, http)
    await polling.open(await new_user())
    forgotten = [await polling.begin_poll() for _ in range(2)]
    websocket = await http.ws_connect(f"{gateway.url}/socket.io/?EIO=4&transport=websocket&sid={polling.sid}")
    await websocket.send_str("2probe")
    await websocket.send_str("5")  # without waiting for the answer, and for the end of the polls
    assert await websocket.receive_str() == "3probe"
    for number in range(3):
        await websocket.send_str(f'42{number}["nonsense"]')
        while not (await websocket.receive_str()).startswith(f"43{number}["):
            pass
    assert not websocket.closed
    for reader, writer in forgotten:
        _, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        _length, packets, *_ = body.split("\r\n")  # it comes in chunks
        assert set(packets.split("\x1e")) <= {"6", "2"}
        writer.close()
    await websocket.close()
