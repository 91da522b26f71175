"""While MongoDB stands still: what messaging has in line stays in that order, and more may come behind it."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from chat_shared.http import SERVICE_TOKEN_HEADER
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


def batch(room_id: str, sender: User) -> dict[str, Any]:
    """One message, as a gateway sends it."""
    message = {"roomId": room_id, "senderId": sender.id, "content": "hello", "messageType": "text"}
    return {"items": [{**message, "clientMessageId": secrets.token_hex(12)}]}


async def test_an_answer_begins_when_the_messages_are_in_line(
    own_stack: "Stack", mongod: "ManagedProcess", new_room: NewRoom, alice: User
) -> None:
    room_id = (await new_room(alice))["id"]
    url = f"{own_stack.process('messaging-1').url}/internal/v1/messages"
    headers = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.post(
            url, json=batch(room_id, alice)
        ) as answer:  # the room's key and member are known
            assert (await answer.json())["results"][0]["seq"] == 1
        mongod.kill(signal.SIGSTOP)
        answers = [await http.post(url, json=batch(room_id, alice)) for _ in range(BATCHES)]
        assert [answer.status for answer in answers] == [200] * BATCHES
        mongod.kill(signal.SIGCONT)
        outcomes = [(await answer.json())["results"][0] for answer in answers]
    assert [outcome["seq"] for outcome in outcomes] == list(range(2, BATCHES + 2))


async def test_a_socket_keeps_its_order_over_many_requests(
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
        await asyncio.sleep(0.1)  # a request of its own for each
    mongod.kill(signal.SIGCONT)
    seqs = [(await send)["seq"] for send in sends]
    assert seqs == list(range(2, BATCHES + 2))
    await eventually(lambda: len(socket.events("new-message")) == BATCHES + 1)
    assert [message["content"] for message in socket.events("new-message")] == [
        str(number) for number in range(BATCHES + 1)
    ]
