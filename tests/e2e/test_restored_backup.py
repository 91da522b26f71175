"""After a restored backup nobody goes on with a position that stands for something else now."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId
from chat_shared.testing import Connect, ConnectRefused, NewRoom, SocketClient, User, eventually
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

NOTICE_SECONDS = 15.0
SENT, KEPT = 10, 6


@pytest.fixture
async def room_log(own_stack: "Stack") -> AsyncIterator[Any]:
    """The collection behind all rooms."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(own_stack.mongo_url)
    yield client["chat_messaging"]["room_log"]
    await client.close()


async def begin_new_epoch(stack: "Stack") -> None:
    """Do what an operator does after a restore."""
    environment = {**os.environ, **stack.process("messaging-1").spec.env}
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chat_messaging.new_epoch", env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await command.communicate()
    assert command.returncode == 0
    assert b"every client will begin anew" in output


async def fill(writer: SocketClient, room_id: str, word: str, count: int) -> list[int]:
    """Send `count` messages and return their positions."""
    payloads = [{"roomId": room_id, "content": f"{word} {number}"} for number in range(1, count + 1)]
    return [(await writer.done("send_message", payload))["seq"] for payload in payloads]


async def come_back(connect: Connect, user: User, gateway: int) -> SocketClient:
    """Connect as clients do: until every process has noticed the epoch, a refusal asks for another try."""

    async def try_once() -> SocketClient | None:
        try:
            return await connect(user, gateway=gateway)
        except ConnectRefused as refused:
            if not refused.details["data"]["retryable"]:
                raise
            return None

    socket: SocketClient = await eventually(try_once, NOTICE_SECONDS)
    return socket


async def test_every_client_begins_anew(
    own_stack: "Stack", room_log: Any, connect: Connect, new_room: NewRoom, alice: User, bob: User
) -> None:
    room_id, intact = (await new_room(alice, bob))["id"], (await new_room(alice, bob))["id"]
    sockets = [await connect(user, gateway=gateway) for user in (alice, bob) for gateway in (0, 1)]
    assert await fill(sockets[0], room_id, "old", SENT) == list(range(1, SENT + 1))
    await fill(sockets[0], intact, "untouched", 3)
    for socket in sockets:
        await socket.wait_for_many("new-message", SENT + 3)
    joined = await sockets[0].done("join_room", {"roomId": intact, "after": 3})
    assert joined["reset"] is False
    epoch = joined["epoch"]

    await room_log.delete_many({"roomId": ObjectId(room_id), "seq": {"$gt": KEPT}})
    await begin_new_epoch(own_stack)
    for socket in sockets:
        await socket.wait_disconnected(NOTICE_SECONDS)

    back = [await come_back(connect, user, gateway) for user in (alice, bob) for gateway in (0, 1)]
    positions = [{"roomId": room_id, "after": KEPT}, {"roomId": intact, "after": 3}]
    for socket in back:
        answer = await eventually(partial(socket.done, "sync", {"rooms": positions, "epoch": epoch}))
        assert answer["epoch"] > epoch
        assert [(room["head"], room["reset"]) for room in answer["rooms"]] == [(KEPT, True), (3, True)]
        assert socket.events("new-message") == []
        joined = await eventually(
            partial(socket.done, "join_room", {"roomId": room_id, "after": KEPT, "epoch": epoch})
        )
        assert (joined["head"], joined["reset"]) == (KEPT, True)
        history = await socket.wait_for("message-history")
        assert (history["reset"], len(history["messages"])) == (True, KEPT)

    # The same numbers again: nothing of what was there before may come in their place.
    assert await fill(back[0], room_id, "new", SENT - KEPT) == list(range(KEPT + 1, SENT + 1))
    for socket in back:
        messages = await socket.wait_for_many("new-message", SENT - KEPT)
        assert [message["content"] for message in messages] == [f"new {n}" for n in range(1, SENT - KEPT + 1)]

    async def go_on(socket: SocketClient) -> None:
        answer = await socket.done("sync", {"rooms": [positions[1]], "epoch": answers_epoch})
        assert answer["rooms"] == [{"roomId": intact, "head": 3, "reset": False}]

    answers_epoch = history["epoch"]
    await asyncio.gather(*(go_on(socket) for socket in back))


async def test_a_message_sent_again_is_stored_again(
    own_stack: "Stack", room_log: Any, connect: Connect, new_room: NewRoom, alice: User
) -> None:
    """Messaging must not answer from memory for a message that the restored log does not have."""
    room_id = (await new_room(alice))["id"]
    socket = await connect(alice, gateway=0)
    message = {"roomId": room_id, "content": "kept by its client", "clientMessageId": f"restored-{room_id}"}
    assert (await socket.done("send_message", message))["duplicate"] is False
    await room_log.delete_many({"roomId": ObjectId(room_id)})
    await begin_new_epoch(own_stack)
    await socket.wait_disconnected(NOTICE_SECONDS)

    again = await come_back(connect, alice, 0)
    answer = await again.done("send_message", message)
    assert (answer["seq"], answer["duplicate"]) == (1, False)
