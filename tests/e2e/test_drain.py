"""A gateway that is stopped sends its sockets elsewhere and answers what it took."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

WINDOW_SECONDS = 1.5


@pytest.fixture
async def stopping(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """The second gateway, which a test may stop; it takes a while to send its sockets away."""
    gateway = own_stack.process("gateway-ws-2")
    await gateway.restart(extra_env={"CHAT_DRAIN_SECONDS": str(WINDOW_SECONDS)})
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
    last = sockets[delays.index(max(delays))]
    if last.connected:
        error = await last.refused("send_message", body)
        assert (error["code"], error["retryable"]) == ("busy", True)
    for socket in sockets:
        await socket.wait_disconnected(WINDOW_SECONDS + 5)
    await stopping.wait_exit()

    page = await api.data("GET", f"/room/{room['id']}/messages", user)
    assert page["head"] == sum(answer["ok"] for answer in answers)
    elsewhere = await connect(user, gateway=0)
    await elsewhere.done("send_message", body)
