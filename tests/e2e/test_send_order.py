"""What a socket sends while MongoDB stands still is stored in the order in which it was sent."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from chat_shared.testing import Connect, NewRoom, User, eventually

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

BATCHES = 10


@pytest.fixture
async def mongod(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """MongoDB, which a test may freeze."""
    process = own_stack.process("mongod")
    yield process
    process.kill(signal.SIGCONT)


async def test_a_socket_keeps_its_order_while_the_database_stands_still(
    mongod: "ManagedProcess", connect: Connect, new_room: NewRoom, alice: User
) -> None:
    room_id = (await new_room(alice))["id"]
    socket = await connect(alice, gateway=0)
    await socket.done("send_message", {"roomId": room_id, "content": "0"})
    mongod.kill(signal.SIGSTOP)
    sends = []
    for number in range(1, BATCHES + 1):
        message = {"roomId": room_id, "content": str(number)}
        sends.append(asyncio.create_task(socket.done("send_message", message)))
        await asyncio.sleep(0)  # each is on its way before the next
    mongod.kill(signal.SIGCONT)
    seqs = [(await send)["seq"] for send in sends]
    assert seqs == list(range(2, BATCHES + 2))
    await eventually(lambda: len(socket.events("new-message")) == BATCHES + 1)
    assert [message["content"] for message in socket.events("new-message")] == [
        str(number) for number in range(BATCHES + 1)
    ]
