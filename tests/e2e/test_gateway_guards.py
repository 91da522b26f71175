"""What a hostile or broken client may not do, spoken as raw Engine.IO frames."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from chat_shared.testing import ApiClient, NewRoom, NewUser, User

CLOSE_SECONDS = 3.0
CONNECT_TIMEOUT_SECONDS = 5.0
MAX_FRAME = 65_536


class RawSocket:
    """A WebSocket that speaks Engine.IO by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def receive(self) -> str:
        """Return the next text frame, answering heartbeats."""
        while True:
            message = await self.socket.receive(timeout=CLOSE_SECONDS)
            assert message.type is aiohttp.WSMsgType.TEXT, f"closed: {message.type} {message.data}"
            if message.data != "2":
                return str(message.data)
            await self.socket.send_str("3")

    async def connect(self, user: User) -> None:
        """Open the Socket.IO namespace."""
        await self.socket.send_str(f"40{json.dumps({'token': user.access_token})}")
        answer = await self.receive()
        assert answer.startswith('40{"sid"'), answer

    async def closed(self, timeout: float = CLOSE_SECONDS) -> list[str]:
        """Return the frames that came before the server closed the connection.

        Raises:
            AssertionError: it is still open.
        """
        frames = []
        try:
            async with asyncio.timeout(timeout):
                while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    frames.append(str(message.data))
                    if message.data == "1":  # the server ends the session; a client closes then
                        return frames
        except TimeoutError:
            raise AssertionError(f"still open after {timeout} s, having sent {frames}") from None
        return frames


Open = Callable[..., Any]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def raw(session: aiohttp.ClientSession, chat_url: str) -> Open:
    """Opens an Engine.IO WebSocket through the public URL."""

    @asynccontextmanager
    async def open_socket(**options: Any) -> AsyncIterator[RawSocket]:
        url = f"{chat_url}/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(url, max_msg_size=0, **options) as socket:
            opened = RawSocket(socket)
            assert (await opened.receive()).startswith("0{")
            yield opened

    return open_socket


BROKEN_FRAMES = {
    "not a packet": "4x",
    "an unknown packet type": "49",
    "no JSON": "42[",
    "an object for an event": '42{"a":1}',
    "an empty event": "42[]",
    "a number for a name": "42[1]",
    "deep nesting": "42" + "[" * 30_000,
    "reserved connect": '42["connect",{"REMOTE_ADDR":"127.0.0.1"},{}]',
    "reserved disconnect": '42["disconnect","x"]',
    "a binary event": '451-["send_message",{"_placeholder":true,"num":0}]',
    "a binary event of very many parts": "459999999999-[]",
    "an attachment out of range": '451-["x",{"_placeholder":true,"num":7}]',
    "another namespace": '42/admin,["x"]',
    "a huge ack id": "42" + "9" * 150 + '["x"]',
    "no Engine.IO packet": "hello",
}


@pytest.mark.parametrize("frame", BROKEN_FRAMES.values(), ids=BROKEN_FRAMES.keys())
async def test_the_first_broken_frame_closes_the_socket(raw: Open, new_user: NewUser, frame: str) -> None:
    user = await new_user()
    async with raw() as socket:
        await socket.connect(user)
        await socket.socket.send_str(frame)
        await socket.closed()


async def test_binary_frames_close_the_socket(raw: Open, new_user: NewUser) -> None:
    user = await new_user()
    async with raw() as socket:
        await socket.connect(user)
        await socket.socket.send_bytes(b"\x00" * 100)
        await socket.closed()


async def test_an_event_before_connect_closes_the_socket(raw: Open) -> None:
    async with raw() as socket:
        await socket.socket.send_str('42["send_message",{}]')
        await socket.closed()


async def test_a_socket_without_connect_is_closed_in_time(raw: Open) -> None:
    async with raw() as socket:
        await socket.closed(CONNECT_TIMEOUT_SECONDS + CLOSE_SECONDS)


async def test_a_refused_socket_does_not_stay(raw: Open) -> None:
    async with raw() as socket:
        await socket.socket.send_str('40{"token":"wrong"}')
        assert (await socket.receive()).startswith("44")
        await socket.closed(CONNECT_TIMEOUT_SECONDS + CLOSE_SECONDS)


async def test_an_oversized_frame_closes_the_socket_unread(raw: Open, new_user: NewUser) -> None:
    user = await new_user()
    async with raw() as socket:
        await socket.connect(user)
        with suppress(ConnectionError):  # it may be cut while we are still sending
            await socket.socket.send_str('42["send_message","' + "x" * 10_000_000 + '"]')
        await socket.closed()


async def test_a_frame_just_below_the_limit_is_answered(raw: Open, new_user: NewUser) -> None:
    user = await new_user()
    async with raw() as socket:
        await socket.connect(user)
        await socket.socket.send_str('421["send_message","' + "x" * (MAX_FRAME - 100) + '"]')
        answer = await socket.receive()
        assert answer.startswith("431")
        assert json.loads(answer[3:])[0]["error"]["code"] == "validation_failed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example:8080"])
async def test_a_foreign_origin_is_refused(
    session: aiohttp.ClientSession, chat_url: str, new_user: NewUser, origin: str
) -> None:
    user = await new_user()
    headers = {"origin": origin, "cookie": f"accessToken={user.access_token}"}
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await session.ws_connect(f"{chat_url}/socket.io/?EIO=4&transport=websocket", headers=headers)


async def test_a_cookie_alone_opens_nothing(raw: Open, new_user: NewUser) -> None:
    user = await new_user()
    async with raw(headers={"cookie": f"accessToken={user.access_token}"}) as socket:
        await socket.socket.send_str("40")
        answer = await socket.receive()
        assert answer.startswith("44")
        assert json.loads(answer[2:])["data"] == {"code": "unauthenticated", "retryable": False}


async def test_a_large_polling_body_is_refused(session: aiohttp.ClientSession, chat_url: str) -> None:
    url = f"{chat_url}/socket.io/?EIO=4&transport=polling"
    async with session.get(url) as opened:
        sid = json.loads((await opened.text())[1:])["sid"]
        cookies = {name: cookie.value for name, cookie in opened.cookies.items()}

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"4" + b"x" * 100_000

    for body in ("4" + "x" * (MAX_FRAME * 2), endless()):
        try:
            async with session.post(f"{url}&sid={sid}", data=body, cookies=cookies) as answer:
                assert answer.status in (400, 413)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            pass  # cut while we were still sending: as good as a refusal


async def test_events_beyond_the_limit_are_refused_and_others_are_served(
    raw: Open, api: ApiClient, new_user: NewUser, new_room: NewRoom
) -> None:
    user, other = await new_user(), await new_user()
    room = await new_room(user, other)
    async with raw() as loud, raw() as quiet:
        await loud.connect(user)
        await quiet.connect(other)
        payload = json.dumps({"roomId": room["id"], "typing": True})
        for number in range(2000):
            await loud.socket.send_str(f'42{number}["typing",{payload}]')
        answers = []
        while len(answers) < 2000:
            frame = await loud.receive()
            if frame.startswith("43"):
                answers.append(json.loads(frame[frame.index("[") :])[0])
        refused = [answer["error"] for answer in answers if not answer["ok"]]
        assert {(error["code"], error["retryable"]) for error in refused} == {("rate_limited", True)}
        await quiet.socket.send_str(f'421["typing",{payload}]')
        while not (answer := await quiet.receive()).startswith("431"):
            pass
        assert json.loads(answer[3:])[0] == {"ok": True}
