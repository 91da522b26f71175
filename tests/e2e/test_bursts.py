"""A client that reads is not closed for what reached its gateway all at once."""

import asyncio
import signal
from typing import TYPE_CHECKING

import httpx2
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import Connect, NewRoom, NewUser

if TYPE_CHECKING:
    from chat_local.stack import Stack

MESSAGES = 1_500
BATCH = 500


async def append(own_stack: "Stack", room_id: str, sender_id: str) -> None:
    """Append more messages than may wait for one client, as a busy gateway would."""
    token = own_stack.secrets["chat_service_token"]
    url = f"{own_stack.process('messaging-1').url}/internal/v1/messages"
    async with httpx2.AsyncClient(headers={SERVICE_TOKEN_HEADER: token}, timeout=10) as http:
        for start in range(0, MESSAGES, BATCH):
            items = [
                {
                    "roomId": room_id,
                    "senderId": sender_id,
                    "content": str(number),
                    "messageType": "text",
                    "clientMessageId": f"burst-{number}",
                }
                for number in range(start, start + BATCH)
            ]
            answer = await http.post(url, json={"items": items})
            assert answer.status_code == 200
            assert all("seq" in result for result in answer.json()["results"])


async def test_a_gateway_that_was_frozen_delivers_everything(
    own_stack: "Stack", new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    socket = await connect(alice, gateway=0)
    [gateway, *_] = own_stack.instances("gateway-ws")
    gateway.kill(signal.SIGSTOP)
    try:
        await append(own_stack, room["id"], alice.id)
        await asyncio.sleep(0.5)  # until Redis has it, so that the gateway finds all of it at once
    finally:
        gateway.kill(signal.SIGCONT)
    messages = await socket.wait_for_many("new-message", MESSAGES)
    assert [message["seq"] for message in messages] == list(range(1, MESSAGES + 1))
    assert socket.connected
