"""A client that reads is not closed for what reached its gateway all at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from chat_shared.testing import Connect, NewRoom, NewUser

if TYPE_CHECKING:
    from chat_local.stack import Stack

MESSAGES = 1_500


async def test_a_gateway_that_was_frozen_delivers_everything(
    own_stack: "Stack",
    new_user: NewUser,
    new_room: NewRoom,
    connect: Connect,
    append: Callable[[str, str, Sequence[str]], Awaitable[None]],
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    socket = await connect(alice, gateway=0)
    [gateway, *_] = own_stack.instances("gateway-ws")
    gateway.kill(signal.SIGSTOP)
    try:
        await append(room["id"], alice.id, [str(number) for number in range(MESSAGES)])
        await asyncio.sleep(0.5)  # until Redis has it, so that the gateway finds all of it at once
    finally:
        gateway.kill(signal.SIGCONT)
    messages = await socket.wait_for_many("new-message", MESSAGES)
    assert [message["seq"] for message in messages] == list(range(1, MESSAGES + 1))
    assert socket.connected
