"""One batch carries messages of many rooms: what is wrong with one of them must not refuse the others."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from bson import ObjectId
from chat_messaging.appender import AppenderParts
from chat_messaging.appenders import Appenders
from chat_messaging.clients import MediaClient
from chat_messaging.crash_points import CrashPoints
from chat_messaging.group_commit import GroupCommit
from chat_messaging.membership import Memberships
from chat_messaging.room_keys import RoomKeys
from chat_messaging.sending import Sending
from chat_messaging.store.room_keys import RoomKeyStore
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.contracts.internal import MembershipCheck, MembershipFact, MembershipFacts, SendItem
from chat_shared.crypto import MasterKeys
from chat_shared.http import ServiceClient
from chat_shared.mongo import Document, Mongo
from pymongo.errors import AutoReconnect

if TYPE_CHECKING:
    from chat_local.stack import Stack

SENDER = str(ObjectId())
NOBODY = "http://127.0.0.1:1"


def master_keys() -> MasterKeys:
    return MasterKeys.parse(f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}")


async def everybody_is_a_member(request: web.Request) -> web.Response:
    question = MembershipCheck.model_validate_json(await request.read())
    facts = [
        MembershipFact(room_id=key.room_id, user_id=key.user_id, role="member", rev=1, room_type="public")
        for key in question.memberships
    ]
    answer = MembershipFacts(memberships=facts)
    return web.Response(text=answer.model_dump_json(), content_type="application/json")


async def serve_rooms(stack: AsyncExitStack) -> str:
    app = web.Application()
    app.router.add_post("/internal/v1/memberships/check", everybody_is_a_member)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def mongo(stack: "Stack") -> AsyncIterator[Mongo]:
    mongo = Mongo(stack.mongo_url, f"test_sending_{secrets.token_hex(4)}")
    yield mongo
    await mongo.stop()


@pytest.fixture
async def sending(mongo: Mongo) -> AsyncIterator[Sending]:
    """The use case with rooms, and with a media service that is away."""
    async with AsyncExitStack() as running:
        rooms = ServiceClient("rooms", [await serve_rooms(running)], "token")
        media = ServiceClient("media", [NOBODY], "token")
        log = RoomLogStore(mongo)
        keys = RoomKeys(RoomKeyStore(mongo), master_keys())
        inserts = GroupCommit(log, CrashPoints())
        parts = AppenderParts(log, inserts, lambda _draft: True, lambda _entries: None, CrashPoints(), 100)
        appenders = Appenders(parts, max_waiting=100)
        for part in (rooms, media, mongo, inserts, appenders):
            await part.start()
            running.push_async_callback(part.stop)
        await mongo.wait_prepared()
        yield Sending(
            Memberships(rooms, lambda: True),
            MediaClient(media, "http://chat.example"),
            keys,
            appenders,
            CrashPoints(),
        )


def message(room_id: str, image_url: str | None = None) -> SendItem:
    return SendItem(
        room_id=room_id,
        sender_id=SENDER,
        content="x",
        message_type="text" if image_url is None else "image",
        image_url=image_url,
        client_message_id=secrets.token_hex(8),
    )


def outcome(result: object) -> tuple[str, bool] | None:
    error = getattr(result, "error", None)
    return (error.code, error.retryable) if error is not None else None


async def test_while_media_is_away_only_images_wait(sending: Sending) -> None:
    room_id = str(ObjectId())
    image = message(room_id, f"/media/{ObjectId()}")
    results = await sending.send([message(room_id), image, message(room_id)])
    assert [outcome(result) for result in results] == [None, ("unavailable", True), None]
    assert [result.seq for result in results] == [1, None, 2]


async def test_a_room_whose_key_does_not_open_refuses_only_its_own(sending: Sending, mongo: Mongo) -> None:
    broken, healthy = str(ObjectId()), str(ObjectId())
    await RoomKeyStore(mongo).add(broken, master_keys().wrap(secrets.token_bytes(32), b"elsewhere"))
    results = await sending.send([message(healthy), message(broken), message(healthy)])
    assert [outcome(result) for result in results] == [None, ("internal_error", False), None]
    assert [result.seq for result in results] == [1, None, 2]


async def test_the_keys_of_a_batch_are_read_at_the_same_time(
    sending: Sending, mongo: Mongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where MongoDB is slow, a batch of many cold rooms must not pay its round trips one after the other."""
    room_ids = [str(ObjectId()) for _ in range(3)]
    for result in await sending.send([message(room_id) for room_id in room_ids]):
        assert outcome(result) is None
    sending._keys.forget_all()
    under_way, find = asyncio.Barrier(len(room_ids)), RoomKeyStore.find

    async def find_together(store: RoomKeyStore, room_id: str) -> Document | None:
        async with asyncio.timeout(5):
            await under_way.wait()
        return await find(store, room_id)

    monkeypatch.setattr(RoomKeyStore, "find", find_together)
    results = await sending.send([message(room_id) for room_id in room_ids])
    assert [(outcome(result), result.seq) for result in results] == [(None, 2)] * 3


async def test_a_key_that_mongodb_does_not_tell_refuses_only_its_room(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    dark, healthy = str(ObjectId()), str(ObjectId())
    find = RoomKeyStore.find

    async def find_some(store: RoomKeyStore, room_id: str) -> Document | None:
        if room_id == dark:
            raise AutoReconnect("gone")
        return await find(store, room_id)

    monkeypatch.setattr(RoomKeyStore, "find", find_some)
    results = await sending.send([message(dark), message(healthy)])
    assert [outcome(result) for result in results] == [("unavailable", True), None]
