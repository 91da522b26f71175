"""More connections than a gateway lets in: refused cheaply, and told when to come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import pytest_asyncio
from chat_shared.testing import Connect, ConnectRefused, NewUser, RawSocket, SocketClient, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

PER_SECOND = 4
HANDSHAKES = 60
PER_ADDRESS = 20

CROWDED = {
    "CHAT_CONNECTS_PER_SECOND": str(PER_SECOND),
    "CHAT_MAX_HANDSHAKES": str(HANDSHAKES),
    "CHAT_MAX_HANDSHAKES_PER_ADDRESS": str(PER_ADDRESS),
    "CHAT_CONNECT_TIMEOUT_SECONDS": "60",
}


@pytest_asyncio.fixture(scope="module")
async def crowded_url(own_stack: "Stack") -> AsyncIterator[str]:
    """The second gateway, which lets few in at once."""
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart(extra_env=CROWDED)
    await gateway.wait_ready()
    yield gateway.url
    await gateway.restart()
    await gateway.wait_ready()


async def idle(sockets: AsyncExitStack, url: str, address: str) -> RawSocket:
    """Open a session and do nothing with it."""
    return await sockets.enter_async_context(RawSocket(url, **{"X-Forwarded-For": address}))


@pytest.mark.parametrize("addresses", [1, 250], ids=["one address", "many addresses"])
async def test_idle_handshakes_keep_nobody_out(
    crowded_url: str, new_user: NewUser, connect: Connect, addresses: int
) -> None:
    user = await new_user()
    admitted = await connect(user, gateway=1)
    async with AsyncExitStack() as sockets:
        flood = [await idle(sockets, crowded_url, f"203.0.113.{number % addresses}") for number in range(200)]
        assert (await connect(user, gateway=1)).connected
        stay = min(addresses * PER_ADDRESS, HANDSHAKES)
        for socket in flood[:-stay]:
            await socket.wait_closed()
        assert not any(socket.closed.is_set() for socket in flood[-stay + 1 :])
        late = flood[-1]
        await late.log_in(user.access_token)
    assert admitted.connected


async def refusal(url: str, token: str) -> dict[str, Any]:
    """Try to connect once; return why it was refused, or nothing."""
    socket = SocketClient()
    try:
        await socket.connect(url, token)
    except ConnectRefused as refused:
        data: dict[str, Any] = refused.details["data"]
        return data
    await socket.disconnect()
    return {}


async def test_too_many_logins_at_once(crowded_url: str, new_user: NewUser) -> None:
    user = await new_user()
    tokens = [user.access_token] * PER_SECOND * 5
    outcomes = await asyncio.gather(*(refusal(crowded_url, token) for token in tokens))
    refused = [outcome for outcome in outcomes if outcome]
    assert PER_SECOND <= len(refused) < len(tokens)
    assert {(data["code"], data["retryable"]) for data in refused} == {("busy", True)}
    assert len({data["retryAfterMs"] for data in refused}) > 1
    # Nobody even looks at the token.
    wrong = await asyncio.gather(*(refusal(crowded_url, "wrong") for _ in tokens))
    assert "busy" in {outcome["code"] for outcome in wrong}

    async def let_in() -> bool:
        return await refusal(crowded_url, user.access_token) == {}

    await eventually(let_in, timeout=5)


async def test_a_second_connect_is_no_way_around(gateway_urls: list[str], new_user: NewUser) -> None:
    user = await new_user()
    async with RawSocket(gateway_urls[0]) as socket:
        await socket.log_in(user.access_token)
        await socket.send("40" + orjson.dumps({"token": user.access_token}).decode())
        await socket.wait_closed()
