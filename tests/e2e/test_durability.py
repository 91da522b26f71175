"""The insert that an acknowledgement waits for, as MongoDB itself saw it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from chat_shared.testing import ApiClient, Connect, NewRoom, User
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

if TYPE_CHECKING:
    from chat_local.stack import Stack

ALL_OPERATIONS, NONE = 2, 0


@pytest.fixture
async def profiled(own_stack: "Stack") -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """The database of messaging, while it writes down every operation."""
    async with AsyncMongoClient[dict[str, Any]](own_stack.mongo_url) as client:
        database = client["chat_messaging"]
        await database.command("profile", ALL_OPERATIONS)
        yield database
        await database.command("profile", NONE)
        await database.drop_collection("system.profile")


async def test_an_acknowledged_message_is_on_a_majority_and_in_its_journal(
    profiled: AsyncDatabase[dict[str, Any]], api: ApiClient, connect: Connect, new_room: NewRoom, alice: User
) -> None:
    room_id = (await new_room(alice))["id"]
    socket = await connect(alice, gateway=0)
    await socket.done("send_message", {"roomId": room_id, "content": "over a socket"})
    await api.data("POST", f"/room/{room_id}/messages", alice, json={"content": "over REST"}, status=201)
    query = {"op": "insert", "ns": f"{profiled.name}.room_log"}
    inserts = await profiled["system.profile"].find(query).to_list()
    assert sum(insert["ninserted"] for insert in inserts) == 2
    for insert in inserts:
        assert insert["command"]["writeConcern"] == {"w": "majority", "j": True}
        assert insert["command"]["ordered"] is True
