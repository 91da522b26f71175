"""Messages reach a socket at once or through its queue, as its client allows: in one order, all of them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from chat_shared.testing import ApiClient, BareSocket, Connect, NewRoom, NewUser, SocketClient, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

Append = Callable[[str, str, Sequence[str]], Awaitable[None]]
LARGE = "😀" * 1_000
"""So much of it that all buffers on the way are full, and not so much that the socket is closed as slow."""
CLOSE = 0x88
EVENT = b'42["new-message",'


def seqs(frames: Sequence[tuple[int, bytes]]) -> list[int]:
    return [orjson.loads(payload[2:])[1]["seq"] for _, payload in frames if payload.startswith(EVENT)]


async def test_a_reader_that_pauses_gets_all_in_order(
    own_stack: "Stack", new_user: NewUser, new_room: NewRoom, append: Append
) -> None:
    """What it cannot take waits in its queue, and what comes later must not overtake that."""
    alice = await new_user()
    room = await new_room(alice)
    url = own_stack.process("gateway-ws-2").url
    async with BareSocket(url, alice.access_token) as reader:
        got: list[int] = []
        streaming = asyncio.create_task(_stream(append, room["id"], alice.id, 60, [LARGE] * 10))

        async def all_there() -> bool:
            await asyncio.sleep(0.2)  # so that the buffers fill, and are emptied while more comes
            got.extend(seqs(await reader.read_frames()))
            return len(got) >= 600

        await eventually(all_there, timeout=30)
        await streaming
    assert got == list(range(1, 601))


async def test_an_upgrade_in_the_middle_of_a_stream(
    own_stack: "Stack", new_user: NewUser, new_room: NewRoom, append: Append
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    socket = SocketClient()
    streaming = asyncio.create_task(_stream(append, room["id"], alice.id, 60))
    try:
        await socket.connect(own_stack.url, alice.access_token, transports=None)
        await streaming
        await append(room["id"], alice.id, ["the end"])
        await socket.wait_for("new-message", lambda message: message["content"] == "the end")
        assert socket.transport == "websocket"
    finally:
        await socket.disconnect()
    got = [message["seq"] for message in socket.events("new-message")]
    assert got == list(range(got[0], got[0] + len(got)))


async def _stream(
    append: Append, room_id: str, sender_id: str, count: int, contents: Sequence[str] = ("hello",)
) -> None:
    for _ in range(count):
        await append(room_id, sender_id, contents)


async def test_those_who_leave_in_the_middle_of_a_stream_disturb_nobody(
    own_stack: "Stack", new_user: NewUser, new_room: NewRoom, connect: Connect, append: Append
) -> None:
    alice = await new_user()
    room = await new_room(alice)
    stays = await connect(alice)

    async def come_and_go() -> None:
        for _ in range(4):
            socket = await SocketClient().connect(own_stack.url, alice.access_token)
            await asyncio.sleep(random.uniform(0, 0.1))
            await socket.disconnect()

    await asyncio.gather(_stream(append, room["id"], alice.id, 100), *(come_and_go() for _ in range(5)))
    got = [message["seq"] for message in await stays.wait_for_many("new-message", 100)]
    assert got == list(range(1, 101))


async def test_nothing_follows_a_closing_frame(
    own_stack: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, append: Append
) -> None:
    """A session ends in the middle of a stream (RFC 6455 §5.5.1)."""
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice, bob)
    async with BareSocket(own_stack.process("gateway-ws-2").url, bob.access_token) as reader:
        streaming = asyncio.create_task(_stream(append, room["id"], alice.id, 60))
        await asyncio.sleep(0.1)
        await api.call("POST", "/auth/logout", bob)
        await streaming
        frames: list[tuple[int, bytes]] = []

        async def closed() -> bool:
            frames.extend(await reader.read_frames())
            return any(first == CLOSE for first, _ in frames)

        await eventually(closed, timeout=10)
    assert [first for first, _ in frames].index(CLOSE) == len(frames) - 1


async def test_events_are_answered_in_their_order_while_messages_come(
    own_stack: "Stack",
    new_user: NewUser,
    new_room: NewRoom,
    append: Append,
) -> None:
    ack_ids = range(1, 41)
    alice = await new_user()
    room = await new_room(alice)
    async with BareSocket(own_stack.process("gateway-ws-1").url, alice.access_token) as reader:
        streaming = asyncio.create_task(_stream(append, room["id"], alice.id, 40))
        for number in ack_ids:
            payload: dict[str, Any] = {"roomId": room["id"], "typing": True}
            await reader.send(f"42{number}" + orjson.dumps(["typing", payload]).decode())
        await streaming
        frames: list[tuple[int, bytes]] = []

        async def answered() -> bool:
            frames.extend(await reader.read_frames())
            return len(_acks(frames)) >= len(ack_ids) and len(seqs(frames)) >= 40

        await eventually(answered, timeout=10)
    assert _acks(frames) == list(ack_ids)
    assert seqs(frames) == list(range(1, 41))


def _acks(frames: Sequence[tuple[int, bytes]]) -> list[int]:
    return [int(payload[2:].split(b"[", 1)[0]) for _, payload in frames if payload.startswith(b"43")]
