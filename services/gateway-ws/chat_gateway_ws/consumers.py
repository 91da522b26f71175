"""Facts from the bus applied to live sockets; every gateway hears every one of them."""

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
from chat_shared.logging import get_logger

from chat_gateway_ws.admission import Admission
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

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
        bus.listen(KEYS, self.handle, self.resync)

    async def handle(self, event: Event) -> None:
        """Apply one event."""
        match event:
            case MemberJoined():
                await self._joined(event)
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
        """Catch up after a break of the bus: ask for all memberships and sessions again."""
        try:
            await self._admission.check_sessions()
            await self._memberships.refresh([user.user_id for user in self._connections.users()])
        except ChatError as error:
            log.warning("live sockets not brought up to date", error=error.code)
