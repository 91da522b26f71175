"""A server that is away: clear and retryable answers within the deadline, and a recovery by itself."""

import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient, User, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

DEADLINE_SECONDS = 10.0
STALENESS_SECONDS = 5.0
MEMBERSHIP_SECONDS = 15.0


@pytest.fixture
async def restored(own_stack: "Stack") -> AsyncIterator["Stack"]:
    """The stack; everything that a test stopped is started again."""
    yield own_stack
    for name in ("redis", "rabbitmq", "rooms-1", "messaging-1", "messaging-2"):
        process = own_stack.process(name)
        process.auto_restart = True
        if not process.is_running:
            await process.restart()
    for name in (
        "redis",
        "rabbitmq",
        "rooms-1",
        "messaging-1",
        "messaging-2",
        "gateway-ws-1",
        "gateway-ws-2",
    ):
        await own_stack.process(name).wait_ready(60)


@pytest.fixture
async def room(new_user: NewUser, new_room: NewRoom) -> tuple[str, User, User]:
    """A room and its two members."""
    alice, bob = await new_user(), await new_user()
    return (await new_room(alice, bob))["id"], alice, bob


def stop(stack: "Stack", name: str) -> None:
    """Kill a process and keep it down."""
    process = stack.process(name)
    process.auto_restart = False
    process.kill()


async def start(stack: "Stack", name: str) -> None:
    """Bring a process back."""
    await stack.process(name).restart()
    await stack.process(name).wait_ready(60)


async def sends(socket: SocketClient, room_id: str, content: str) -> bool:
    """Tell whether a message is acknowledged; a refusal has to be retryable."""
    answer = await socket.call("send_message", {"roomId": room_id, "content": content})
    assert answer["ok"] or answer["error"]["retryable"], answer
    return bool(answer["ok"])


async def test_redis(
    restored: "Stack", room: tuple[str, User, User], connect: Connect, client_message_id: Callable[[], str]
) -> None:
    """Sending goes on; the others get the message by the log, and live again when Redis is back."""
    room_id, alice, bob = room
    speaker, listener = await connect(alice, gateway=0), await connect(bob, gateway=1)
    await speaker.done("send_message", {"roomId": room_id, "content": "with redis"})
    stop(restored, "redis")
    await restored.process("redis").wait_exit()
    for number in range(3):
        await speaker.done("send_message", {"roomId": room_id, "content": f"without redis {number}"})
    await listener.wait_for_many("new-message", 4, timeout=STALENESS_SECONDS * 2)
    await start(restored, "redis")
    await speaker.done("send_message", {"roomId": room_id, "content": "with redis again"})
    seen = await listener.wait_for_many("new-message", 5, timeout=STALENESS_SECONDS * 2)
    assert [message["seq"] for message in seen] == [1, 2, 3, 4, 5]


async def test_rabbitmq(
    restored: "Stack", api: ApiClient, room: tuple[str, User, User], connect: Connect
) -> None:
    """Chat does not notice; what others are told of it comes later."""
    room_id, alice, bob = room
    speaker, listener = await connect(alice, gateway=0), await connect(bob, gateway=1)
    stop(restored, "rabbitmq")
    await restored.process("rabbitmq").wait_exit()
    for number in range(3):
        await speaker.done("send_message", {"roomId": room_id, "content": str(number)})
    await listener.wait_for_many("new-message", 3)
    await start(restored, "rabbitmq")

    async def counted() -> bool:
        rooms = await api.data("GET", "/room", bob)
        return [entry["lastSeq"] for entry in rooms if entry["id"] == room_id] == [3]

    await eventually(counted, timeout=30)


async def test_a_member_who_is_removed_without_rabbitmq(
    restored: "Stack", api: ApiClient, room: tuple[str, User, User], connect: Connect
) -> None:
    """No event comes; the gateways ask, and the one who was removed hears no more."""
    room_id, alice, bob = room
    witness, removed = await connect(alice, gateway=1), await connect(bob, gateway=1)
    stop(restored, "rabbitmq")
    await restored.process("rabbitmq").wait_exit()
    await api.call("DELETE", f"/room/{room_id}/members/{bob.id}", alice)

    async def hears_nothing() -> bool:
        answer = await witness.done("send_message", {"roomId": room_id, "content": "still there?"})
        await witness.wait_for("new-message", lambda message: message["seq"] == answer["seq"])
        await removed.call("typing", {"roomId": room_id, "typing": True})  # what was sent before is here now
        return not removed.events("new-message", lambda message: message["seq"] == answer["seq"])

    await eventually(hears_nothing, timeout=MEMBERSHIP_SECONDS)
    assert removed.connected


async def test_mongodb_that_does_not_answer(
    restored: "Stack",
    api: ApiClient,
    room: tuple[str, User, User],
    connect: Connect,
    client_message_id: Callable[[], str],
) -> None:
    """Nothing is acknowledged, everything is answered in time, and the same id is stored once afterwards."""
    room_id, alice, _ = room
    socket = await connect(alice)
    await socket.done("send_message", {"roomId": room_id, "content": "before"})
    message = {"roomId": room_id, "content": "during", "clientMessageId": client_message_id()}
    restored.process("mongod").kill(signal.SIGSTOP)
    try:
        began = time.monotonic()
        error = await socket.refused("send_message", message)
        assert error["retryable"], error
        assert time.monotonic() - began < DEADLINE_SECONDS
    finally:
        restored.process("mongod").kill(signal.SIGCONT)

    async def stored() -> bool:
        answer = await socket.call("send_message", message)
        assert answer["ok"] or answer["error"]["retryable"]
        return bool(answer["ok"])

    await eventually(stored, timeout=30)
    page = await api.data("GET", f"/room/{room_id}/messages", alice)
    assert [entry["content"] for entry in page["messages"]] == ["before", "during"]


async def test_both_messaging_processes(
    restored: "Stack", api: ApiClient, room: tuple[str, User, User], connect: Connect
) -> None:
    """Sends are refused retryably at once, the sockets stay, and go on when one of the two is back."""
    room_id, alice, _ = room
    socket = await connect(alice)
    for name in ("messaging-1", "messaging-2"):
        stop(restored, name)
        await restored.process(name).wait_exit()
    began = time.monotonic()
    assert not await sends(socket, room_id, "nobody there")
    assert time.monotonic() - began < DEADLINE_SECONDS
    response = await api.send("POST", f"/room/{room_id}/messages", alice, json={"content": "x"})
    assert response.status_code >= 502
    await start(restored, "messaging-2")
    await eventually(lambda: sends(socket, room_id, "somebody there"), timeout=20)
    assert socket.connected


async def test_rooms(
    restored: "Stack", api: ApiClient, room: tuple[str, User, User], connect: Connect, new_user: NewUser
) -> None:
    """Who is in the room goes on chatting; new sockets are refused retryably until rooms is back."""
    room_id, alice, bob = room
    speaker, listener = await connect(alice, gateway=0), await connect(bob, gateway=1)
    await speaker.done("send_message", {"roomId": room_id, "content": "with rooms"})
    stop(restored, "rooms-1")
    await restored.process("rooms-1").wait_exit()
    await speaker.done("send_message", {"roomId": room_id, "content": "without rooms"})
    await listener.wait_for_many("new-message", 2)
    newcomer = await new_user()
    with pytest.raises(Exception, match="unavailable"):
        await connect(newcomer)
    await start(restored, "rooms-1")
    assert (await connect(newcomer)).connected
