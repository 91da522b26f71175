"""Clients that try to cost more than they should."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
import pytest
from chat_shared.testing import NewUser, RawSocket

MAX_FRAME = 65_536
CONNECT_TIMEOUT_SECONDS = 5.0


@pytest.mark.parametrize(
    "frame",
    [
        "459999999999-[]",
        '451-["x",{"_placeholder":true,"num":7}]',
        "461-[]",
        "42" + "9" * 150 + '["x"]',
        "b4AAAA",
    ],
    ids=["very many attachments", "attachment out of range", "binary acknowledgement", "huge id", "base64"],
)
async def test_what_would_fill_memory_closes_the_socket(
    gateway_urls: list[str], new_user: NewUser, frame: str
) -> None:
    user = await new_user()
    async with RawSocket(gateway_urls[0]) as socket:
        await socket.log_in(user.access_token)
        await socket.send(frame)
        await socket.wait_closed()


async def test_a_very_large_frame_is_not_read(gateway_urls: list[str], new_user: NewUser) -> None:
    user = await new_user()
    async with RawSocket(gateway_urls[0]) as socket:
        await socket.log_in(user.access_token)
        with suppress(ConnectionError):  # it may be cut while we are still sending
            await socket.send('42["send_message","' + "x" * 10_000_000 + '"]')
        await socket.wait_closed()


async def test_a_frame_just_below_the_limit_is_answered(gateway_urls: list[str], new_user: NewUser) -> None:
    user = await new_user()
    async with RawSocket(gateway_urls[0]) as socket:
        await socket.log_in(user.access_token)
        await socket.send_event("send_message", "x" * (MAX_FRAME - 100), ack_id=1)
        answer = await socket.wait_for("431")
        assert json.loads(answer[3:])[0]["error"]["code"] == "validation_failed"


async def test_a_refused_socket_does_not_stay(gateway_urls: list[str]) -> None:
    async with RawSocket(gateway_urls[0]) as socket:
        await socket.send('40{"token":"wrong"}')
        await socket.wait_for("44")
        await socket.wait_closed(CONNECT_TIMEOUT_SECONDS * 2)


async def test_an_endless_polling_body_is_refused_unread(chat_url: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(2_000):
            sent += 100_000
            yield b"4" + b"x" * 99_999

    url = f"{chat_url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as opened:
            sid = json.loads((await opened.text())[1:])["sid"]
            cookies = {name: cookie.value for name, cookie in opened.cookies.items()}
        async with asyncio.timeout(20):
            try:
                async with http.post(f"{url}&sid={sid}", data=endless(), cookies=cookies) as answer:
                    assert answer.status in (400, 413)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                pass  # cut while we were still sending: as good as a refusal
    assert sent < 200_000_000
