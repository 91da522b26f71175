"""What somebody may no longer see or do ends within a second, on every gateway."""

import asyncio
import time
from typing import Any

from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient

ONE_SECOND = 1.0


async def test_logout_closes_the_sessions_sockets_on_another_gateway(
    api: ApiClient, new_user: NewUser, connect: Connect
) -> None:
    user = await new_user()
    sockets = [await connect(user, gateway=0), await connect(user, gateway=1)]
    await api.call("POST", "/auth/logout", user)
    began = time.monotonic()
    for socket in sockets:
        await socket.wait_disconnected(ONE_SECOND)
        assert (await socket.wait_for("session-ended"))["reconnect"] is False
    assert time.monotonic() - began <= ONE_SECOND
    await api.refused("GET", "/auth/me", user, status=401, code="unauthenticated")
    await api.refused("GET", "/room", user, status=401, code="unauthenticated")


async def test_logout_leaves_the_users_other_session_alone(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    user = await new_user()
    other_session = await api.another_session(user)
    room = await new_room(user)
    closing, staying = await connect(user, gateway=0), await connect(other_session, gateway=0)
    await api.call("POST", "/auth/logout", user)
    await closing.wait_disconnected(ONE_SECOND)
    await staying.done("send_message", {"roomId": room["id"], "content": "still here"})


async def test_a_removed_member_hears_and_says_nothing_more(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room = await new_room(owner, member)
    speaker = await connect(owner, gateway=0)
    removed = [await connect(member, gateway=0), await connect(member, gateway=1)]
    await speaker.done("send_message", {"roomId": room["id"], "content": "before"})
    for socket in removed:
        await socket.wait_for("new-message")

    await api.call("DELETE", f"/room/{room['id']}/members/{member.id}", owner)
    await asyncio.gather(*(_until_refused(socket, room["id"]) for socket in removed))
    heard = [len(socket.events("new-message")) for socket in removed]

    answer = await speaker.done("send_message", {"roomId": room["id"], "content": "after"})
    await speaker.wait_for("new-message", lambda message: message["seq"] == answer["seq"])
    for socket, before in zip(removed, heard, strict=True):
        assert (await socket.refused("join_room", {"roomId": room["id"]}))["code"] == "not_a_member"
        reply = await socket.done("sync", {"rooms": [{"roomId": room["id"], "after": 0}]})
        assert reply["rooms"][0]["error"]["code"] == "not_a_member"
        assert len(socket.events("new-message")) == before
    await api.refused("GET", f"/room/{room['id']}/messages", member, status=403, code="not_a_member")


async def _until_refused(socket: SocketClient, room_id: str) -> None:
    """Send until a send is refused; it has to be within a second."""
    began = time.monotonic()
    while (answer := await socket.call("send_message", {"roomId": room_id, "content": "may I?"}))["ok"]:
        assert time.monotonic() - began < ONE_SECOND, "may still send"
        await asyncio.sleep(0.1)
    assert answer["error"]["code"] == "not_a_member"


async def test_nothing_gets_past_a_removal(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    """Sends race with the removal: whatever was accepted, nothing is accepted a second later."""
    owner, member = await new_user(), await new_user()
    room = await new_room(owner, member)
    racing = await connect(member, gateway=1)
    body = {"roomId": room["id"], "content": "race"}
    sends = [asyncio.create_task(racing.call("send_message", body)) for _ in range(15)]
    await api.call("DELETE", f"/room/{room['id']}/members/{member.id}", owner)
    answers: list[dict[str, Any]] = await asyncio.gather(*sends)
    assert all(answer["ok"] or answer["error"]["code"] == "not_a_member" for answer in answers)
    await _until_refused(racing, room["id"])


async def test_a_new_member_hears_at_once_without_reconnecting(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, newcomer = await new_user(), await new_user()
    room = await new_room(owner)
    speaker, listener = await connect(owner, gateway=0), await connect(newcomer, gateway=1)
    await api.call("POST", f"/room/{room['id']}/join", newcomer)
    await listener.wait_for("user-joined", lambda event: event["userId"] == newcomer.id, ONE_SECOND)
    await speaker.done("send_message", {"roomId": room["id"], "content": "welcome"})
    assert (await listener.wait_for("new-message"))["content"] == "welcome"


async def test_a_deleted_room_is_silent(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room = await new_room(owner, member)
    socket = await connect(member, gateway=1)
    await api.call("DELETE", f"/room/{room['id']}", owner)
    assert await socket.wait_for("room-deleted", timeout=ONE_SECOND) == {"roomId": room["id"]}
    error = await socket.refused("send_message", {"roomId": room["id"], "content": "anybody?"})
    assert error["code"] in ("room_not_found", "not_a_member")
    await api.refused("GET", f"/room/{room['id']}/messages", member, status=404, code="room_not_found")
