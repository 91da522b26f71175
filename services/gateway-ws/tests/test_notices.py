"""Notices: a crowd is announced in few messages and writes, and each hears of all others, in order."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from chat_gateway_ws.connections import Connection, TokenBucket
from chat_gateway_ws.notices import Notice, Notices, notices_in, room_channel, spread
from chat_gateway_ws.recent import RecentBudget
from chat_gateway_ws.room_feed import BLOCK_PACKETS, RoomFeed
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_shared.redis import connect_redis
from chat_shared.testing import eventually
from chat_shared.tokens import Identity
from redis.asyncio import Redis

ROOMS = ["1" * 24, "2" * 24]
USERS = [f"{number:024x}" for number in range(100)]


class Client:
    """A WebSocket that keeps up."""

    def __init__(self, user_id: str) -> None:
        self.writes: list[bytes] = []
        queue = SendQueue()
        queue.lead_to(self, lambda: None)
        limits, bucket = SendLimits(1_000, 1_000_000), TokenBucket(1, 1)
        self.connection = Connection(
            f"eio-{user_id}", Identity(user_id, "session", 0), queue, limits, bucket, lambda *_: None
        )
        self.connection.opened()

    def write_frames(self, frames: bytes) -> bool:
        self.writes.append(frames)
        return True

    def texts(self) -> list[str]:
        """Return what was written; all frames here are short."""
        wire, texts = b"".join(self.writes), []
        while wire:
            texts.append(wire[2 : 2 + wire[1]].decode())
            wire = wire[2 + wire[1] :]
        return texts


async def no_entries(*_: object) -> None:
    raise AssertionError("the log was asked")


def feed_of(clients: list[Client]) -> RoomFeed:
    feed = RoomFeed(ROOMS[0], no_entries, RecentBudget(1_000_000))  # type: ignore[arg-type]
    feed.listeners |= dict.fromkeys(client.connection for client in clients)
    return feed


class TestSpread:
    @pytest.mark.parametrize("count", [1, BLOCK_PACKETS, 100])
    async def test_each_hears_of_all_others_in_order(self, count: int) -> None:
        clients = [Client(user) for user in USERS]
        spread(feed_of(clients), [Notice(ROOMS[0], f"42{user}", user) for user in USERS[:count]])
        for client, own in zip(clients, USERS, strict=True):
            assert client.texts() == [f"42{user}" for user in USERS[:count] if user != own]

    async def test_several_leave_in_one_write(self) -> None:
        client = Client("f" * 24)
        spread(feed_of([client]), [Notice(ROOMS[0], f"42{user}", user) for user in USERS])
        assert len(client.writes) == -(-len(USERS) // BLOCK_PACKETS)

    async def test_presence_is_for_everybody(self) -> None:
        client = Client(USERS[0])
        notices = notices_in(ROOMS[0], {"presence": {"user-online": USERS[:2]}})
        spread(feed_of([client]), notices)
        assert client.texts() == [
            f'42["user-online",{{"userId":"{user}","roomId":"{ROOMS[0]}"}}]' for user in USERS[:2]
        ]


Published = list[tuple[str, bytes]]


@pytest.fixture
async def published(redis: Redis) -> AsyncIterator[Published]:
    """What was published for the two rooms."""
    messages: Published = []
    pubsub = redis.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe(*map(room_channel, ROOMS))

    async def listen() -> None:
        async for message in pubsub.listen():
            messages.append((message["channel"].decode(), message["data"]))

    listening = asyncio.create_task(listen())
    yield messages
    listening.cancel()
    await asyncio.wait([listening])
    await pubsub.aclose()  # type: ignore[no-untyped-call]


@pytest.fixture
async def notices(redis: Redis) -> AsyncIterator[Notices]:
    notices = Notices(redis)
    yield notices
    await notices.stop()


def frames_of(published: Published, room_id: str) -> list[tuple[str, str | None]]:
    """Return what a room was told, in its order."""
    return [
        (notice.frame, notice.except_user)
        for channel, payload in published
        if channel == room_channel(room_id)
        for notice in notices_in(room_id, orjson.loads(payload))
    ]


class TestPublish:
    async def test_a_crowd_is_one_message_to_each_room(self, notices: Notices, published: Published) -> None:
        for user in USERS:
            notices.publish([Notice(room, f"42{user}", user) for room in ROOMS])
        await eventually(lambda: len(published) >= len(ROOMS))
        for room in ROOMS:
            assert frames_of(published, room) == [(f"42{user}", user) for user in USERS]
        assert len(published) == len(ROOMS)

    async def test_one_after_the_other_share_messages_and_keep_their_order(
        self, notices: Notices, published: Published, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chat_gateway_ws.notices.PUBLISH_BATCH", 30)
        for user in USERS:
            notices.publish([Notice(ROOMS[0], f"42{user}")])
            await asyncio.sleep(0)
        await eventually(lambda: len(frames_of(published, ROOMS[0])) >= len(USERS))
        assert frames_of(published, ROOMS[0]) == [(f"42{user}", None) for user in USERS]
        assert len(published) <= 20

    async def test_one_alone_does_not_wait(self, notices: Notices, published: Published) -> None:
        notices.publish([Notice(ROOMS[0], "42")])
        await asyncio.sleep(0)
        assert not notices._waiting

    async def test_what_contradicts_itself_is_all_said(self, notices: Notices, published: Published) -> None:
        said = ["42left", "42joined", "42left"]
        notices.publish([Notice(ROOMS[0], frame) for frame in said])
        await eventually(lambda: published)
        assert frames_of(published, ROOMS[0]) == [(frame, None) for frame in said]

    async def test_no_more_than_so_many_wait(
        self, notices: Notices, published: Published, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chat_gateway_ws.notices.MAX_WAITING", 10)
        for user in USERS:
            notices.publish([Notice(ROOMS[0], f"42{user}")])
        await eventually(lambda: published and not notices._waiting)
        notices.publish([Notice(ROOMS[0], "42next")])  # comes after whatever was kept
        await eventually(lambda: frames_of(published, ROOMS[0])[-1] == ("42next", None))
        assert len(frames_of(published, ROOMS[0])) == 10 + 1

    async def test_they_are_lost_while_redis_is_away_and_the_next_are_not(
        self, redis: Redis, notices: Notices, published: Published, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chat_gateway_ws.notices.PUBLISH_BATCH", 1)
        async with connect_redis("redis://127.0.0.1:1/0") as nowhere:
            monkeypatch.setattr(notices, "_redis", nowhere)
            notices.publish([Notice(ROOMS[0], "42lost"), Notice(ROOMS[0], "42told")])
            await eventually(lambda: len(notices._waiting) == 1)
            monkeypatch.setattr(notices, "_redis", redis)
            await eventually(lambda: published)
        assert frames_of(published, ROOMS[0]) == [("42told", None)]
