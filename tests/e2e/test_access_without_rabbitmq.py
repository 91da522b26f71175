"""Access ends within a second, also while one of the two ways by which facts reach the gateways is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from bson import ObjectId
from chat_shared.contracts.events import MemberLeft, RoomUpdated
from chat_shared.fast_lane import CHANNEL, encode_fact
from chat_shared.redis import connect_redis
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient, User, eventually
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

ONE_SECOND = 1.0
RECOVERY_SECONDS = 30.0


@pytest.fixture
async def restored(own_stack: "Stack") -> AsyncIterator["Stack"]:
    """The stack; everything that a test stopped is started again."""
    yield own_stack
    for name in ("redis", "rabbitmq"):
        await start(own_stack, name)
    for name in ("redis", "rabbitmq", "gateway-ws-1", "gateway-ws-2", "rooms-1", "auth-1"):
        await own_stack.process(name).wait_ready(60)


async def stop(stack: "Stack", name: str) -> None:
    """Kill a server and keep it down."""
    process = stack.process(name)
    process.auto_restart = False
    process.kill()
    await process.wait_exit()


async def start(stack: "Stack", name: str) -> None:
    """Bring a server back that is down."""
    process = stack.process(name)
    process.auto_restart = True
    if not process.is_running:
        await process.restart()
        await process.wait_ready(60)


async def leaves_within(socket: SocketClient, user: User, seconds: float) -> None:
    """Wait until a socket hears that a user left."""
    await socket.wait_for("user-left", lambda left: left["userId"] == user.id, timeout=seconds)


async def commit_removal_and_die(stack: "Stack", room_id: str, user: User) -> None:
    """Leave what a process of rooms leaves that dies between its commit and telling others."""
    event = MemberLeft(room_id=room_id, user_id=user.id, reason="removed", rev=1_000, member_count=1)
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    row = {
        "_id": event.event_id,
        "key": event.key,
        "body": event.model_dump_json(),
        "roomId": room_id,
        "owner": "rooms-that-died",
        "leasedUntil": long_ago,
    }
    async with AsyncMongoClient[dict[str, Any]](stack.mongo_url) as client:
        database = client["chat_rooms"]
        await database["outbox"].insert_one(row)
        gone = {"roomId": ObjectId(room_id), "userId": ObjectId(user.id)}
        assert (await database["memberships"].delete_one(gone)).deleted_count == 1


async def hears_what_rabbitmq_brings(api: ApiClient, owner: User, room_id: str, socket: SocketClient) -> None:
    """Wait until a socket hears a fact that RabbitMQ alone carries: those before it have come, too."""
    name = f"renamed {time.monotonic_ns()}"
    await api.data("PATCH", f"/room/{room_id}", owner, json={"roomName": name})
    await socket.wait_for("room-updated", lambda room: room["roomName"] == name, timeout=RECOVERY_SECONDS)


async def test_who_is_told_that_somebody_is_gone_can_rely_on_it(
    restored: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    """The process that removed them died before it told others, and the owner asks once more."""
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner, member))["id"]
    beside, removed = await connect(owner, gateway=1), await connect(member, gateway=0)
    await stop(restored, "rabbitmq")
    await commit_removal_and_die(restored, room_id, member)

    response = await api.send("DELETE", f"/room/{room_id}/members/{member.id}", owner)
    assert response.status_code == 404
    await leaves_within(beside, member, ONE_SECOND)
    await beside.done("send_message", {"roomId": room_id, "content": "after"})
    await beside.wait_for("new-message")
    assert removed.events("new-message") == []


async def test_a_removal_reaches_the_other_gateway_without_rabbitmq(
    restored: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner, member))["id"]
    speaker, beside = await connect(owner, gateway=0), await connect(owner, gateway=1)
    removed = await connect(member, gateway=1)
    await speaker.done("send_message", {"roomId": room_id, "content": "before"})
    await removed.wait_for("new-message")
    await stop(restored, "rabbitmq")

    await api.call("DELETE", f"/room/{room_id}/members/{member.id}", owner)
    await asyncio.gather(*(leaves_within(socket, member, ONE_SECOND) for socket in (speaker, beside)))
    answer = await speaker.done("send_message", {"roomId": room_id, "content": "after"})
    await beside.wait_for("new-message", lambda message: message["seq"] == answer["seq"])
    assert [message["content"] for message in removed.events("new-message")] == ["before"]

    await start(restored, "rabbitmq")
    await hears_what_rabbitmq_brings(api, owner, room_id, beside)
    assert len(beside.events("user-left")) == 1  # though RabbitMQ brought it as well


async def test_a_new_member_hears_the_room_without_rabbitmq(
    restored: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner))["id"]
    speaker, added = await connect(owner, gateway=0), await connect(member, gateway=1)
    await stop(restored, "rabbitmq")
    await api.call("POST", f"/room/{room_id}/members", owner, status=201, json={"userId": member.id})
    await added.wait_for("user-joined", timeout=ONE_SECOND)
    await speaker.done("send_message", {"roomId": room_id, "content": "welcome"})
    await added.wait_for("new-message", timeout=ONE_SECOND)


async def test_logout_closes_sockets_without_rabbitmq(
    restored: "Stack", api: ApiClient, new_user: NewUser, connect: Connect
) -> None:
    user = await new_user()
    sockets = [await connect(user, gateway=0), await connect(user, gateway=1)]
    await stop(restored, "rabbitmq")
    await api.call("POST", "/auth/logout", user)
    await asyncio.gather(*(socket.wait_disconnected(ONE_SECOND) for socket in sockets))


async def test_rabbitmq_alone_is_enough(
    restored: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner, member))["id"]
    beside, removed = await connect(owner, gateway=1), await connect(member, gateway=1)
    await hears_what_rabbitmq_brings(api, owner, room_id, beside)
    await stop(restored, "redis")
    await api.call("DELETE", f"/room/{room_id}/members/{member.id}", owner)
    await leaves_within(beside, member, 2 * ONE_SECOND)
    await api.call("POST", "/auth/logout", member)
    await removed.wait_disconnected(2 * ONE_SECOND)


async def test_both_ways_together_tell_it_once(
    api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner))["id"]
    listener = await connect(owner, gateway=1)
    for _ in range(5):
        await api.call("POST", f"/room/{room_id}/members", owner, status=201, json={"userId": member.id})
        await api.call("DELETE", f"/room/{room_id}/members/{member.id}", owner)
    await hears_what_rabbitmq_brings(api, owner, room_id, listener)
    for event in ("user-joined", "user-left"):
        about_member = await listener.wait_for_many(event, 5, lambda fact: fact["userId"] == member.id)
        assert len(about_member) == 5


async def test_what_is_no_urgent_fact_is_ignored(
    own_stack: "Stack", api: ApiClient, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    owner, member = await new_user(), await new_user()
    room_id = (await new_room(owner, member))["id"]
    listener = await connect(owner, gateway=0)
    left = MemberLeft(room_id=room_id, user_id=member.id, reason="left", member_count=1, rev=9)
    body = left.model_dump_json()
    updated = RoomUpdated(
        room_id=room_id,
        room_name="forged",
        room_type="public",
        description="",
        created_by=owner.id,
        updated_at=left.occurred_at,
        rev=9,
    )
    redis = connect_redis(own_stack.redis_url)
    for payload in (
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        encode_fact("member.left.v1", "{}"),
        encode_fact("member.left.v2", body),
        encode_fact(RoomUpdated.key, updated.model_dump_json()),
        orjson.dumps({"key": MemberLeft.key, "event": orjson.Fragment(body), "more": 1}),
    ):
        await redis.publish(CHANNEL, payload)
    await redis.publish(CHANNEL, encode_fact(MemberLeft.key, body))
    await redis.aclose()
    await leaves_within(listener, member, ONE_SECOND)
    assert len(listener.events("user-left")) == 1
    assert listener.events("room-updated") == []
    log = own_stack.logs_dir / "gateway-ws-1.log"
    await eventually(lambda: log.read_text().count("fact ignored") >= 8)
