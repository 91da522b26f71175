"""A client that does not read costs its gateway next to nothing, and is let go."""

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest
from chat_shared.testing import BareSocket, Connect, NewRoom, NewUser, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

CLOSED_SECONDS = 12.0
"""Ten, and a little for a machine that is busy."""
LARGE = "😀" * 1_000
MEGABYTE = 1_048_576

Append = Callable[[str, str, Sequence[str]], Awaitable[None]]


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
    async with BareSocket(gateway_url, bob.access_token) as deaf:
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
    async with BareSocket(gateway_url, alice.access_token) as deaf:
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
