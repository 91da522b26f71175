"""Keeps live sockets in exactly the rooms of their users, as facts about memberships come in."""

import asyncio
from collections.abc import Iterable
from itertools import islice

from chat_shared.contracts.internal import UserRoom

from chat_gateway_ws.clients import RoomsClient
from chat_gateway_ws.connections import Connection, Connections, LocalUser
from chat_gateway_ws.errors import NotAMember, RoomNotFound
from chat_gateway_ws.room_feeds import RoomFeeds

RECHECK_BATCH = 500
RECHECK_CALLS = 2
"""Questions to rooms at the same time."""
REFRESH_BATCH = 1_000
"""Users whose rooms are asked for at the same time; they share calls."""


class Memberships:
    """Applies memberships to sockets: what rooms says on connect, and events afterwards."""

    def __init__(self, connections: Connections, feeds: RoomFeeds, rooms: RoomsClient) -> None:
        self._connections = connections
        self._feeds = feeds
        self._rooms = rooms

    async def enter_all(self, connection: Connection, user: LocalUser) -> None:
        """Put a new socket into all rooms of its user.

        The socket is registered before we ask, so an event that arrives meanwhile is not missed.

        Raises:
            ChatError: rooms or messaging is away.
        """
        for room in await self._rooms.of_user(user.user_id):
            self._connections.joined(user, room)
        await self._feeds.attach(connection, list(user.rooms))

    async def joined(self, user_id: str, room: UserRoom) -> None:
        """A user became a member: their sockets hear the room from now on."""
        user = self._connections.user(user_id)
        if user is not None and self._connections.joined(user, room):
            for connection in list(user.connections):
                await self._feeds.attach(connection, [room.room_id])
            if room.room_id not in user.rooms:
                self._detach_user(user, room.room_id)

    def left(self, user_id: str, room_id: str, rev: int) -> None:
        """A user is no longer a member: nothing of the room reaches their sockets any more."""
        if self._connections.left(user_id, room_id, rev):
            user = self._connections.user(user_id)
            if user is not None:
                self._detach_user(user, room_id)

    def _detach_user(self, user: LocalUser, room_id: str) -> None:
        for connection in list(user.connections):
            self._feeds.detach(connection, [room_id])

    def room_deleted(self, room_id: str, rev: int) -> None:
        """A room is gone: so are all memberships in it."""
        for user in self._connections.users():
            if room_id in user.rooms:
                self.left(user.user_id, room_id, rev)

    async def require(self, connection: Connection, room_id: str) -> None:
        """Return when the socket's user is a member; asks rooms when we do not know of it.

        Raises:
            RoomNotFound: no such room, or a private one of others.
            NotAMember: a public room that the user has not joined.
            ChatError: rooms or messaging is away.
        """
        user = self._connections.user(connection.user_id)
        if user is not None and room_id in user.rooms:
            return
        fact = await self._rooms.membership(room_id, connection.user_id)
        if fact.role is None:
            raise NotAMember if fact.room_type == "public" else RoomNotFound
        await self.joined(
            connection.user_id, UserRoom(room_id=room_id, role=fact.role, rev=fact.rev, member_count=1)
        )
        user = self._connections.user(connection.user_id)
        if user is None or room_id not in user.rooms:
            raise RoomNotFound  # the membership ended while the answer was on its way: that is the newer fact

    async def recheck(self) -> None:
        """Ask rooms which of the memberships that sockets here live by have ended, and end them here.

        Raises:
            ChatError: rooms is away; some may have been asked.
        """
        pairs = [
            (room.room_id, user.user_id, room.rev)
            for user in self._connections.users()
            for room in user.rooms.values()
        ]
        turns = asyncio.Semaphore(RECHECK_CALLS)

        async def ask(chunk: list[tuple[str, str, int]]) -> None:
            async with turns:
                facts = await self._rooms.memberships([(room_id, user_id) for room_id, user_id, _ in chunk])
            for (room_id, user_id, rev), fact in zip(chunk, facts, strict=True):
                if fact.role is None:
                    self.left(user_id, room_id, rev)

        chunks = [pairs[start : start + RECHECK_BATCH] for start in range(0, len(pairs), RECHECK_BATCH)]
        await asyncio.gather(*(ask(chunk) for chunk in chunks))

    async def refresh(self, user_ids: Iterable[str]) -> None:
        """Ask rooms for all memberships again and apply the differences: events may have been missed.

        Raises:
            ChatError: rooms or messaging is away.
        """
        waiting = iter(user_ids)
        while chunk := list(islice(waiting, REFRESH_BATCH)):
            await asyncio.gather(*(self._refresh_one(user_id) for user_id in chunk))

    async def _refresh_one(self, user_id: str) -> None:
        user = self._connections.user(user_id)
        if user is None:
            return
        before = dict(user.rooms)
        current = {room.room_id: room for room in await self._rooms.of_user(user_id)}
        for room in current.values():
            await self.joined(user_id, room)
        for room_id, room in before.items():
            if room_id not in current:
                self.left(user_id, room_id, room.rev)
