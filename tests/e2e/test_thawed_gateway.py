"""A gateway that stood still for long: what happened meanwhile counts before what was said meanwhile."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser

if TYPE_CHECKING:
    from chat_local.stack import Stack

FROZEN_SECONDS = 20.0
"""Longer than RabbitMQ waits for a heartbeat, shorter than a client does."""
STALENESS_SECONDS = 10.0


@pytest.fixture
async def thawed(own_stack: "Stack") -> AsyncIterator["Stack"]:
    """The stack; nothing stays frozen."""
    yield own_stack
    own_stack.process("gateway-ws-2").kill(signal.SIGCONT)
    await own_stack.process("gateway-ws-2").wait_ready(60)


async def test_who_was_removed_meanwhile_hears_nothing_of_what_came_after(
    thawed: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    rooms = [(await new_room(owner, member))["id"] for _ in range(5)]
    speaker, beside = await connect(owner, gateway=0), await connect(owner, gateway=1)
    removed = await connect(member, gateway=1)
    for room_id in rooms:
        await speaker.done("send_message", {"roomId": room_id, "content": "before"})
    await removed.wait_for_many("new-message", len(rooms))
    frozen = thawed.process("gateway-ws-2")

    frozen.kill(signal.SIGSTOP)
    thaw_at = asyncio.get_running_loop().time() + FROZEN_SECONDS
    for room_id in rooms:
        await speaker.done("send_message", {"roomId": room_id, "content": "meanwhile"})
    for room_id in rooms:
        await api.call("DELETE", f"/room/{room_id}/members/{member.id}", owner)
    await speaker.wait_for_many("user-left", len(rooms))
    for room_id in rooms:
        await speaker.done("send_message", {"roomId": room_id, "content": "after"})
    await asyncio.sleep(thaw_at - asyncio.get_running_loop().time())
    frozen.kill(signal.SIGCONT)

    after = await beside.wait_for_many("new-message", 3 * len(rooms), timeout=STALENESS_SECONDS)
    assert [message["content"] for message in after[2 * len(rooms) :]] == ["after"] * len(rooms)
    await frozen.wait_ready(60)
    for room_id in rooms:
        await speaker.done("send_message", {"roomId": room_id, "content": "later"})
    await beside.wait_for_many("new-message", 4 * len(rooms), timeout=STALENESS_SECONDS)
    assert [message["content"] for message in removed.events("new-message")] == ["before"] * len(rooms)
