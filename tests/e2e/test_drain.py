"""A gateway that is stopped sends its sockets elsewhere and answers what it took."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest
from chat_shared.testing import (
    ApiClient,
    Connect,
    ConnectRefused,
    NewRoom,
    NewUser,
    RawSocket,
    SocketClient,
    eventually,
)

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

WINDOW_SECONDS = 3.0
WAIT_SECONDS = 2.0
SOCKETS = 40
NORMAL_CODES = (1000, 1001)
SETTINGS = {
    "CHAT_DRAIN_SECONDS": str(WINDOW_SECONDS),
    "CHAT_DRAIN_WAIT_SECONDS": str(WAIT_SECONDS),
}


@pytest.fixture
async def stopping(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """The second gateway, which a test may stop; it takes a while to send its sockets away."""
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart(extra_env=SETTINGS)
    await gateway.wait_ready()
    gateway.auto_restart = False
    yield gateway
    gateway.auto_restart = True
    await gateway.restart()
    await gateway.wait_ready()


async def test_sockets_are_told_when_to_come_back_and_nothing_is_lost(
    stopping: "ManagedProcess", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    user = await new_user()
    room = await new_room(user)
    sockets = [await connect(user, gateway=1) for _ in range(8)]
    body = {"roomId": room["id"], "content": "on the way"}
    sends = [asyncio.create_task(socket.call("send_message", body)) for socket in sockets]
    await asyncio.sleep(0)
    stopping.kill(signal.SIGTERM)

    delays = [(await socket.wait_for("drain"))["delayMs"] for socket in sockets]
    assert all(0 <= delay <= WINDOW_SECONDS * 1000 for delay in delays)
    answers = await asyncio.gather(*sends)
    assert all(answer["ok"] or answer["error"]["code"] == "busy" for answer in answers)
    for socket in sockets:
        await socket.wait_disconnected(WINDOW_SECONDS + 5)
    await stopping.wait_exit()

    page = await api.data("GET", f"/room/{room['id']}/messages", user)
    assert page["head"] == sum(answer["ok"] for answer in answers)
    elsewhere = await connect(user, gateway=0)
    await elsewhere.done("send_message", body)


async def test_new_clients_are_sent_elsewhere_while_it_drains(
    stopping: "ManagedProcess", api: ApiClient, new_user: NewUser, connect: Connect
) -> None:
    """Whoever comes by the public URL meets the other gateway, long before this one has ended."""
    user = await new_user()
    # The turns of several are spread over the window: the last one's is not before seven eighths of it.
    staying = [await connect(user, gateway=1) for _ in range(8)]
    stopping.kill(signal.SIGTERM)

    async def is_out() -> bool:
        return (await api.http.get(f"{stopping.url}/routez")).status_code == 503

    await eventually(is_out)
    await staying[0].wait_for("drain")
    came_meanwhile = 0
    for _ in range(10):
        assert (await connect(user)).connected
        came_meanwhile += stopping.is_running
    assert came_meanwhile > 0


async def test_sockets_leave_one_after_the_other_with_a_closing_frame(
    stopping: "ManagedProcess", api: ApiClient, new_user: NewUser, new_room: NewRoom
) -> None:
    """While they wait they go on; nothing that one of them sent is lost."""
    users = [await new_user() for _ in range(2)]
    room = await new_room(users[0], users[1])
    loop = asyncio.get_running_loop()
    closed_at: dict[RawSocket, float] = {}

    async def see_closed(socket: RawSocket) -> None:
        await socket.wait_closed(WAIT_SECONDS + WINDOW_SECONDS + 10)
        closed_at[socket] = loop.time()

    async with AsyncExitStack() as opened:
        sockets = [await opened.enter_async_context(RawSocket(stopping.url)) for _ in range(SOCKETS)]
        idle = await opened.enter_async_context(RawSocket(stopping.url))
        for number, socket in enumerate(sockets):
            await socket.log_in(users[number % 2].access_token)
        watching = [asyncio.create_task(see_closed(socket)) for socket in (*sockets, idle)]
        stopping.kill(signal.SIGTERM)
        await eventually(lambda: is_unready(stopping.url))
        with pytest.raises(ConnectRefused) as refused:
            await SocketClient().connect(stopping.url, users[0].access_token)
        assert refused.value.code == "busy"
        delays = [
            orjson.loads((await socket.wait_for('42["drain"'))[2:])[1]["delayMs"] / 1000 for socket in sockets
        ]
        told_at = loop.time()
        body = {"roomId": room["id"], "content": "on my way"}
        for socket in sockets:
            with suppress(ConnectionError):  # its turn has come
                await socket.send_event("send_message", body, ack_id=1)
        await asyncio.gather(*watching)
        answers = [socket.answers()[1][0] for socket in sockets if 1 in socket.answers()]
    assert all(socket.close_code in NORMAL_CODES for socket in (*sockets, idle))
    assert max(delays) <= WINDOW_SECONDS
    early = sorted(closed_at[socket] - told_at - delay for socket, delay in zip(sockets, delays, strict=True))
    assert early[0] > -0.5, "closed before its time"
    # Evenly: in each third of the window about a third of them.
    for third in range(3):
        share = [delay for delay in delays if third <= delay / WINDOW_SECONDS * 3 <= third + 1]
        assert SOCKETS // 3 - 2 <= len(share) <= SOCKETS // 3 + 2
    stored = (await api.data("GET", f"/room/{room['id']}/messages", users[0]))["head"]
    assert stored == sum(answer["ok"] for answer in answers)
    assert stored > SOCKETS // 2
    await stopping.wait_exit()


async def is_unready(url: str) -> bool:
    """Tell whether a gateway says that it goes away, while it still answers."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/readyz") as answer:
        return answer.status == 503 and "about to stop" in (await answer.json())["leaving"]


async def test_a_second_signal_ends_the_waiting(own_stack: "Stack", new_user: NewUser) -> None:
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart(extra_env={"CHAT_DRAIN_SECONDS": "300", "CHAT_DRAIN_WAIT_SECONDS": "60"})
    await gateway.wait_ready()
    gateway.auto_restart = False
    try:
        user = await new_user()
        async with RawSocket(gateway.url) as socket:
            await socket.log_in(user.access_token)
            gateway.kill(signal.SIGTERM)
            await eventually(lambda: is_unready(gateway.url))
            assert not socket.closed.is_set()
            gateway.kill(signal.SIGTERM)
            await socket.wait_closed(10)
            assert socket.close_code in NORMAL_CODES
        await asyncio.wait_for(gateway.wait_exit(), 20)
    finally:
        gateway.auto_restart = True
        await gateway.restart()
        await gateway.wait_ready()
