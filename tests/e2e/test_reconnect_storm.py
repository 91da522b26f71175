"""A gateway dies and all its sockets come back at once: the log is read per room, not per socket."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient, User, eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

USERS, SOCKETS_EACH, ROOMS = 12, 16, 5
BEFORE, MISSED = 70, 30
READS_PER_ROOM = 2

_READS = re.compile(r'^chat_log_reads_total\{kind="(?:heads|entries)"\} (\S+)$', re.M)


async def log_reads(stack: "Stack", api: ApiClient) -> float:
    """Return how often messaging has read the log in MongoDB."""
    pages = [await api.http.get(f"{process.url}/metrics") for process in stack.instances("messaging")]
    return sum(float(count) for page in pages for count in _READS.findall(page.text))


async def write(api: ApiClient, room_ids: list[str], user: User, numbers: range) -> None:
    """Put messages into every room, over REST."""
    for number in numbers:
        bodies = [(room_id, {"content": f"{number}"}) for room_id in room_ids]
        await asyncio.gather(
            *(
                api.call("POST", f"/room/{room_id}/messages", user, status=201, json=body)
                for room_id, body in bodies
            )
        )


async def come_back(connect: Connect, user: User, room_ids: list[str]) -> SocketClient:
    """Connect to the other gateway, catch up in all rooms and open each of them."""
    socket = await connect(user, gateway=1)
    positions = [{"roomId": room_id, "after": BEFORE} for room_id in room_ids]
    answer = await socket.call("sync", {"rooms": positions}, timeout=60)
    assert [(room["head"], room["reset"]) for room in answer["rooms"]] == [(BEFORE + MISSED, False)] * ROOMS
    for room_id in room_ids:
        await socket.call("join_room", {"roomId": room_id}, timeout=60)
    return socket


def missed_by(socket: SocketClient, room_id: str) -> list[int]:
    messages: list[dict[str, Any]] = socket.events("new-message")
    return [message["seq"] for message in messages if message["roomId"] == room_id]


async def test_the_log_is_read_per_room_not_per_socket(
    own_stack: "Stack", api: ApiClient, connect: Connect, new_user: NewUser, new_room: NewRoom
) -> None:
    users = [await new_user() for _ in range(USERS)]
    room_ids = [(await new_room(users[0], *users[1:]))["id"] for _ in range(ROOMS)]
    await write(api, room_ids, users[0], range(BEFORE))
    everybody = users * SOCKETS_EACH
    sockets = await asyncio.gather(*(connect(user, gateway=0) for user in everybody))

    victim = own_stack.process("gateway-ws-1")
    victim.kill()
    await asyncio.gather(*(socket.wait_disconnected(30) for socket in sockets))
    await write(api, room_ids, users[0], range(MISSED))
    await victim.wait_ready(60)

    before = await log_reads(own_stack, api)
    back = await asyncio.gather(*(come_back(connect, user, room_ids) for user in everybody))
    await eventually(lambda: all(len(socket.events("message-history")) == ROOMS for socket in back), 60)
    reads = await log_reads(own_stack, api) - before

    for socket in back:
        for room_id in room_ids:
            assert missed_by(socket, room_id) == list(range(BEFORE + 1, BEFORE + MISSED + 1))
        for history in socket.events("message-history"):
            newest = [message["seq"] for message in history["messages"]]
            assert newest == list(range(BEFORE + MISSED - 49, BEFORE + MISSED + 1))
    assert 0 < reads <= READS_PER_ROOM * ROOMS
