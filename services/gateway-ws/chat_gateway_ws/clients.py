"""What the gateway asks of the other services."""

from collections.abc import Mapping, Sequence

from chat_shared.coalescer import Coalescer
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import (
    Heads,
    HeadsQuery,
    LastSeen,
    LastSeenReport,
    MembershipCheck,
    MembershipFact,
    MembershipFacts,
    MembershipKey,
    RoomEntries,
    SendBatch,
    SendItem,
    SendResults,
    SessionsCheck,
    SessionsChecked,
    UserRoom,
    UserRooms,
    UsersRooms,
    UsersRoomsQuery,
)
from chat_shared.http import ServiceClient

from chat_gateway_ws.epoch import LogEpoch
from chat_gateway_ws.metrics import LOG_READS

USERS_BATCH = 200
"""Users in one question about their rooms: what rooms takes."""
USERS_PAUSE_SECONDS = 0.05
"""Between two such questions; a call costs rooms as much as thirty users in it."""


class MessagingClient:
    """The room log. An answer of another epoch than the one before it is refused."""

    def __init__(self, http: ServiceClient) -> None:
        self._http = http
        self.epoch = LogEpoch()

    def home(self, room_id: EntityId) -> str:
        """Return the instance that a room's messages go to while it answers."""
        return self._http.home(room_id)

    async def send(self, items: list[SendItem], *, timeout: float) -> SendResults:
        """Append messages; the rooms of one call share their home."""
        batch = SendBatch(items=items, epoch=self.epoch.current)
        key = items[0].room_id
        return await self._http.post("/internal/v1/messages", batch, SendResults, key=key, timeout=timeout)

    async def heads(self, room_ids: list[EntityId]) -> dict[EntityId, int]:
        """Return the committed head of each room; without rooms it only looks at the epoch."""
        if room_ids:
            LOG_READS.labels("heads").inc()
        answer = await self._http.post(
            "/internal/v1/heads", HeadsQuery(room_ids=room_ids), Heads, only_reads=True
        )
        self.epoch.observe(answer.epoch)
        return answer.heads

    async def entries(self, room_id: EntityId, after: int, limit: int) -> RoomEntries:
        """Return up to `limit` entries that follow `after`, as ready-made frames."""
        LOG_READS.labels("entries").inc()
        path = f"/internal/v1/rooms/{room_id}/entries?after={after}&limit={limit}"
        answer = await self._http.get(path, RoomEntries)
        self.epoch.observe(answer.epoch)
        return answer


class RoomsClient:
    """Memberships."""

    def __init__(self, http: ServiceClient) -> None:
        self._http = http
        # A crowd that arrives at once would cost a request and two queries each.
        self._rooms_of = Coalescer(self._ask_rooms, most=USERS_BATCH, pause=USERS_PAUSE_SECONDS)

    async def of_user(self, user_id: EntityId) -> list[UserRoom]:
        """Return all rooms of a user, as they are now or a moment later; many who ask share a call."""
        return list(await self._rooms_of.ask(user_id))

    async def _ask_rooms(self, user_ids: Sequence[EntityId]) -> Mapping[EntityId, Sequence[UserRoom]]:
        if len(user_ids) == 1:
            path = f"/internal/v1/users/{user_ids[0]}/rooms"
            return {user_ids[0]: (await self._http.get(path, UserRooms)).rooms}
        question = UsersRoomsQuery(user_ids=list(user_ids))
        return (
            await self._http.post("/internal/v1/users/rooms", question, UsersRooms, only_reads=True)
        ).rooms

    async def membership(self, room_id: EntityId, user_id: EntityId) -> MembershipFact:
        """Return what a user is to a room."""
        return (await self.memberships([(room_id, user_id)]))[0]

    async def memberships(self, pairs: list[tuple[EntityId, EntityId]]) -> list[MembershipFact]:
        """Return what each user is to their room, for up to 1,000 pairs of room and user, in order."""
        keys = [MembershipKey(room_id=room_id, user_id=user_id) for room_id, user_id in pairs]
        question = MembershipCheck(memberships=keys)
        answer = await self._http.post(
            "/internal/v1/memberships/check", question, MembershipFacts, only_reads=True
        )
        return answer.memberships


class AuthClient:
    """Sessions and last-seen times."""

    def __init__(self, http: ServiceClient) -> None:
        self._http = http

    async def ended_sessions(self, session_ids: list[str]) -> list[str]:
        """Return those of the sessions that have ended."""
        question = SessionsCheck(session_ids=session_ids)
        answer = await self._http.post(
            "/internal/v1/sessions/check", question, SessionsChecked, only_reads=True
        )
        return answer.ended

    async def report_last_seen(self, users: list[LastSeen]) -> None:
        """Tell when users went offline."""
        body = LastSeenReport(users=users).model_dump_json().encode()
        await self._http.request("POST", "/internal/v1/users/last-seen", body)
