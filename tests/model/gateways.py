"""Gateways as the model sees them: real feeds and catch-up behind a pub/sub that the model plays.

The only module of the model that knows how the parts of the gateway are put together.
"""

import asyncio
import itertools
from typing import Any, cast

import orjson
from chat_gateway_ws.catch_up import CatchUp
from chat_gateway_ws.clients import MessagingClient, RoomsClient
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.epoch import LogEpoch
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.room_feeds import RoomFeeds, room_channel
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_messaging.domain import Committed, by_room
from chat_messaging.reading import Reader
from chat_shared.contracts.internal import MembershipFact, RoomEntries, UserRoom
from chat_shared.contracts.sockets import SyncedRoom, SyncPosition
from chat_shared.redis import connect_redis
from chat_shared.tokens import Identity

EPOCH = 1
NO_LIMITS = SendLimits(packets=1_000_000, size=1_000_000_000)
NOWHERE = "redis://127.0.0.1:1/0"
"""The feeds are never started: what Redis would bring, the model brings."""

RECENT_BYTES = 1_000_000

_numbers = itertools.count()


class Roster:
    """Who is in which room: what the service rooms would answer."""

    def __init__(self, user_ids: list[str], room_ids: list[str]) -> None:
        self._members = {(user, room): 1 for user in user_ids for room in room_ids}
        self.rev = 1

    def is_member(self, user_id: str, room_id: str) -> bool:
        return (user_id, room_id) in self._members

    def add(self, user_id: str, room_id: str) -> UserRoom:
        self.rev += 1
        self._members[user_id, room_id] = self.rev
        return self._room(user_id, room_id)

    def remove(self, user_id: str, room_id: str) -> int:
        self.rev += 1
        del self._members[user_id, room_id]
        return self.rev

    def _room(self, user_id: str, room_id: str) -> UserRoom:
        rev = self._members[user_id, room_id]
        return UserRoom(room_id=room_id, role="member", rev=rev, member_count=2)

    async def of_user(self, user_id: str) -> list[UserRoom]:
        return [self._room(user, room) for user, room in self._members if user == user_id]

    async def membership(self, room_id: str, user_id: str) -> MembershipFact:
        rev = self._members.get((user_id, room_id))
        role = None if rev is None else "member"
        return MembershipFact(room_id=room_id, user_id=user_id, role=role, rev=rev or 0, room_type="public")


class Log:
    """The room log as a gateway asks for it; its answers can be held up on their way."""

    def __init__(self, reader: Reader) -> None:
        self.epoch = LogEpoch()
        self.epoch.observe(EPOCH)
        self._reader = reader
        self._passable = asyncio.Event()
        self._passable.set()
        self.asked = asyncio.Event()

    def hold_up(self) -> None:
        self.asked.clear()
        self._passable.clear()

    def let_pass(self) -> None:
        self._passable.set()

    async def _on_its_way(self) -> None:
        self.asked.set()
        await self._passable.wait()

    async def heads(self, room_ids: list[str]) -> dict[str, int]:
        return await self._reader.heads(room_ids)

    async def entries(self, room_id: str, after: int, limit: int) -> RoomEntries:
        frames = await self._reader.frames_after(room_id, after, limit)
        await self._on_its_way()
        return RoomEntries(entries=frames, epoch=EPOCH)


def parsed(frame: str) -> tuple[str, dict[str, Any]]:
    """Return name and payload of an event as it goes over the wire."""
    name, payload = orjson.loads(frame.removeprefix("42"))
    return name, payload


class Socket:
    """A live socket at a gateway, with what was sent to it."""

    def __init__(self, user_id: str) -> None:
        self._queue = SendQueue()
        self.connection = Connection(
            f"socket-{next(_numbers)}",
            Identity(user_id, "session", 0),
            self._queue,
            NO_LIMITS,
            TokenBucket(1_000_000, 1_000_000),
            _refuse_close,
        )

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that were sent, by name and payload, and forget them."""
        frames = [self._queue.get_nowait().encode() for _ in range(self._queue.qsize())]
        return [parsed(frame) for frame in frames]


def _refuse_close(_sid: str, reason: object) -> None:
    raise AssertionError(f"the gateway closed a socket: {reason}")


class Gateway:
    """One gateway process. `wire` is what Redis has not brought yet."""

    def __init__(self, reader: Reader, roster: Roster) -> None:
        self.log = Log(reader)
        self.wire: list[tuple[str, bytes]] = []
        messaging = cast("MessagingClient", self.log)
        self._connections = Connections()
        self._feeds = RoomFeeds(
            NOWHERE,
            connect_redis(NOWHERE),
            messaging,
            instance="model",
            head_check_seconds=60,
            recent_bytes=RECENT_BYTES,
        )
        self._memberships = Memberships(self._connections, self._feeds, cast("RoomsClient", roster))
        self._catch_up = CatchUp(self._memberships, self._feeds, self.log.epoch)

    async def stop(self) -> None:
        await self._feeds.stop()

    def publish(self, entries: list[Committed]) -> None:
        """Put a batch on the wire, as the fan-out does."""
        for room_id, of_room in by_room(entries).items():
            frames = [(entry.placed.seq, entry.frame) for entry in of_room]
            self.wire.append((room_channel(room_id), orjson.dumps(frames)))

    def receive_now(self, channel: str, payload: bytes) -> None:
        """Redis brings a batch; the holes that it shows are filled in the background."""
        self._feeds._receive(channel, payload)

    async def receive(self, channel: str, payload: bytes) -> None:
        """Redis brings a batch; return when the holes that it showed are filled."""
        self.receive_now(channel, payload)
        await self.settle()

    async def settle(self) -> None:
        if fills := [task for task in asyncio.all_tasks() if task.get_name() == "feed-fill"]:
            await asyncio.wait(fills)

    async def check_heads(self) -> None:
        """Compare with the log, as every gateway does every two seconds."""
        await self._feeds._check_all_with_log()
        await self.settle()

    async def connect(self, user_id: str) -> Socket:
        socket = Socket(user_id)
        user = self._connections.add(socket.connection)
        await self._memberships.enter_all(socket.connection, user)
        socket.connection.opened()
        return socket

    def disconnect(self, socket: Socket) -> None:
        self._connections.remove(socket.connection.eio_sid)
        self._feeds.detach(socket.connection, list(socket.connection.listening))

    async def sync(self, socket: Socket, room_id: str, after: int) -> SyncedRoom:
        return await self._catch_up.sync(socket.connection, SyncPosition(room_id=room_id, after=after))

    async def join(self, socket: Socket, room_id: str, after: int | None) -> int:
        """Return the head that the join was acknowledged with, once its history is out."""
        joining = await self._catch_up.join(socket.connection, room_id, after)
        await joining.send_history()
        return joining.answer.head

    async def member_joined(self, user_id: str, room: UserRoom) -> None:
        await self._memberships.joined(user_id, room)

    def member_left(self, user_id: str, room_id: str, rev: int) -> None:
        self._memberships.left(user_id, room_id, rev)
