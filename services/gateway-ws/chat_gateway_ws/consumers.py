"""Facts, from the bus and from the fast lane, applied to live sockets; every gateway hears all of them."""

import asyncio
from collections import OrderedDict

from chat_shared.bus import Bus
from chat_shared.contracts.events import (
    Event,
    MemberJoined,
    MemberLeft,
    RoomDeleted,
    RoomUpdated,
    SessionRevoked,
)
from chat_shared.contracts.internal import UserRoom
from chat_shared.contracts.sockets import RoomChanged, RoomGone, RoomPresence
from chat_shared.errors import ChatError
from chat_shared.fast_lane import CHANNEL, decode_fact
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

from chat_gateway_ws.admission import Admission
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.metrics import FACTS
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

RETRY_SECONDS = 1.0
MAX_REMEMBERED = 20_000
"""How many facts are known to be applied; far more than come in while RabbitMQ is behind Redis."""
KEYS = (MemberJoined.key, MemberLeft.key, RoomUpdated.key, RoomDeleted.key, SessionRevoked.key)


class LiveUpdates:
    """Keeps live sockets true to what happens elsewhere."""

    def __init__(
        self,
        bus: Bus,
        connections: Connections,
        memberships: Memberships,
        feeds: RoomFeeds,
        admission: Admission,
    ) -> None:
        self._connections = connections
        self._memberships = memberships
        self._feeds = feeds
        self._admission = admission
        self._gaps = 0
        self._applied: OrderedDict[str, None] = OrderedDict()
        self._tasks = TaskSet()
        bus.listen(KEYS, self.handle, self.resync)
        feeds.subscriber.also_hear(CHANNEL, self.hear)

    async def start(self) -> None:
        """Nothing to begin: the bus brings the work."""

    async def stop(self) -> None:
        """End what is still under way."""
        await self._tasks.cancel()

    async def handle(self, event: Event) -> None:
        """Apply an event that RabbitMQ brought."""
        self._apply_once(event, "rabbitmq")

    def hear(self, payload: bytes) -> None:
        """Apply what the fast lane brought, if it is a fact."""
        event = decode_fact(payload)
        if event is not None:
            self._apply_once(event, "redis")

    def _apply_once(self, event: Event, way: str) -> None:
        """Apply an event unless the other way brought it before: nobody is told twice who left."""
        if event.event_id in self._applied:
            return
        self._apply(event)
        FACTS.labels(way).inc()
        self._applied[event.event_id] = None
        if len(self._applied) > MAX_REMEMBERED:
            self._applied.popitem(last=False)

    def _apply(self, event: Event) -> None:
        match event:
            case MemberJoined():
                # It asks messaging and Redis; the ends of memberships and sessions must not wait behind that.
                self._tasks.spawn(self._joined(event), name="member-joined")
            case MemberLeft():
                self._left(event)
            case RoomUpdated():
                changed = RoomChanged(
                    **event.model_dump(include=set(RoomChanged.model_fields), by_alias=False)
                )
                self._broadcast(event.room_id, event_frame("room-updated", changed))
            case RoomDeleted():
                self._broadcast(event.room_id, event_frame("room-deleted", RoomGone(room_id=event.room_id)))
                self._memberships.room_deleted(event.room_id, event.rev)
            case SessionRevoked():
                for session_id in event.session_ids:
                    self._admission.end_session(session_id, event.reason)

    async def _joined(self, event: MemberJoined) -> None:
        room = UserRoom(
            room_id=event.room_id, role=event.role, rev=event.rev, member_count=event.member_count
        )
        try:
            await self._memberships.joined(event.user_id, room)
        except ChatError as error:
            # The sockets are listeners already; the head check places the feed when messaging is back.
            log.warning("a new member's room is not placed yet", room_id=event.room_id, error=error.code)
        presence = RoomPresence(user_id=event.user_id, room_id=event.room_id)
        self._broadcast(event.room_id, event_frame("user-joined", presence))

    def _left(self, event: MemberLeft) -> None:
        presence = RoomPresence(user_id=event.user_id, room_id=event.room_id)
        self._broadcast(event.room_id, event_frame("user-left", presence))
        self._memberships.left(event.user_id, event.room_id, event.rev)

    def _broadcast(self, room_id: str, frame: str) -> None:
        feed = self._feeds.get(room_id)
        if feed is not None:
            feed.broadcast(frame)

    async def resync(self) -> None:
        """Catch up after a break of the bus: ask for all memberships and sessions again, until that works.

        Somebody may have lost access meanwhile, and no event will tell us any more.
        """
        self._gaps += 1
        gap = self._gaps
        pending = [self._refresh_memberships, self._admission.check_sessions]
        while pending and gap == self._gaps:
            for refresh in tuple(pending):
                try:
                    await refresh()
                    pending.remove(refresh)
                except Exception as error:  # whatever it is: who lost access meanwhile must not keep it
                    log.warning("live sockets not brought up to date yet", error=repr(error)[:200])
            if pending:
                await asyncio.sleep(RETRY_SECONDS)

    async def _refresh_memberships(self) -> None:
        await self._memberships.refresh([user.user_id for user in self._connections.users()])
