"""Facts from the bus: memberships that change, rooms that go."""

import asyncio

from chat_shared.bus import Bus
from chat_shared.contracts.events import Event, MemberJoined, MemberLeft, RoomDeleted

from chat_messaging.fanout import Fanout
from chat_messaging.membership import Member, Memberships
from chat_messaging.room_keys import RoomKeys
from chat_messaging.store.room_log import RoomLogStore

CLEANUP_QUEUE = "messaging.cleanup"
CLEANUP_SECONDS = 30.0
"""A large room is deleted in several tries: a delivery must not be held up by what takes minutes."""


class CacheUpdates:
    """Every process hears these and corrects what it remembers."""

    def __init__(self, bus: Bus, memberships: Memberships, keys: RoomKeys) -> None:
        self._memberships = memberships
        self._keys = keys
        bus.listen((MemberJoined.key, MemberLeft.key, RoomDeleted.key), self.handle, self.resync)

    async def handle(self, event: Event) -> None:
        """Apply one fact."""
        match event:
            case MemberJoined():
                self._memberships.joined(Member(event.room_id, event.user_id), event.rev)
            case MemberLeft():
                self._memberships.left(Member(event.room_id, event.user_id), event.rev)
            case RoomDeleted():
                self._memberships.room_deleted(event.room_id, event.rev)
                self._keys.forget(event.room_id)

    async def resync(self) -> None:
        """Events may have been missed: believe nothing that is remembered."""
        self._memberships.forget_members()
        self._keys.forget_all()


class RoomCleanup:
    """One process removes what a deleted room leaves behind. Repeating it changes nothing."""

    def __init__(self, bus: Bus, keys: RoomKeys, log: RoomLogStore, fanout: Fanout) -> None:
        self._keys = keys
        self._log = log
        self._fanout = fanout
        bus.consume(CLEANUP_QUEUE, self.handle)

    async def handle(self, event: Event) -> None:
        """Destroy the room's key, then delete its entries."""
        if isinstance(event, RoomDeleted):
            await self._keys.destroy(event.room_id)
            async with asyncio.timeout(CLEANUP_SECONDS):
                await self._log.delete_room(event.room_id)
            await self._fanout.forget(event.room_id)
