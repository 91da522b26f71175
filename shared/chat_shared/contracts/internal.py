"""Bodies of the HTTP calls between services, under `/internal/v1` (never routed from outside)."""

from typing import Literal

from pydantic import Field

from chat_shared.contracts.base import EntityId, StrictModel, Timestamp, WireModel
from chat_shared.contracts.sockets import MessageType


class SessionsCheck(StrictModel):
    """gateway-ws -> auth: which of these sessions have ended?"""

    session_ids: list[str] = Field(max_length=1000)


class SessionsChecked(WireModel):
    """The sessions that have ended, or never were."""

    ended: list[str]


class LastSeen(WireModel):
    """When a user's last connection went away."""

    user_id: EntityId
    last_seen: Timestamp


class LastSeenReport(WireModel):
    """gateway-ws -> auth: users who went offline."""

    users: list[LastSeen] = Field(max_length=1000)


class UserRoom(WireModel):
    """A room that a user is a member of, as the gateway needs it."""

    room_id: EntityId
    role: Literal["owner", "admin", "member"]
    rev: int = Field(description="The room's counter when this membership began")
    member_count: int


class UserRooms(WireModel):
    """rooms -> gateway-ws: all rooms of one user."""

    rooms: list[UserRoom]


class UsersRoomsQuery(StrictModel):
    """gateway-ws -> rooms: which rooms are these users in?"""

    user_ids: list[EntityId] = Field(min_length=1, max_length=200)


class UsersRooms(WireModel):
    """The rooms of at least one of the users; who is left out is asked for again: the answer was full."""

    rooms: dict[EntityId, list[UserRoom]]


class MembershipKey(StrictModel):
    """One question about a user and a room."""

    room_id: EntityId
    user_id: EntityId


class MembershipCheck(StrictModel):
    """messaging, media, gateway-ws -> rooms: who is a member where?"""

    memberships: list[MembershipKey] = Field(max_length=1000)


class MembershipFact(WireModel):
    """The answer to one question; `role` is null for an outsider."""

    room_id: EntityId
    user_id: EntityId
    role: Literal["owner", "admin", "member"] | None
    rev: int = Field(description="The room's counter when this membership began; 0 for an outsider")
    room_type: Literal["public", "private"] | None = Field(description="Null when there is no such room")


class MembershipFacts(WireModel):
    """The answers, in the order of the questions."""

    memberships: list[MembershipFact]


class SendItem(WireModel):
    """One message on its way into a room's log."""

    room_id: EntityId
    sender_id: EntityId
    content: str
    message_type: MessageType
    image_url: str | None = None
    client_message_id: str
    trace: str | None = Field(None, description="`traceparent`, where the message is traced")


class SendBatch(WireModel):
    """gateway-ws -> messaging: everything that waited while the last batch was under way."""

    items: list[SendItem] = Field(max_length=1000)
    epoch: int | None = Field(None, description="The epoch of the log that the sender knows of, as in Heads")


class SendError(WireModel):
    """Why one item was refused, or that its outcome is not known."""

    code: str
    message: str
    retryable: bool


class SendResult(WireModel):
    """The outcome of one item: either stored, or `error`."""

    message_id: EntityId | None = None
    seq: int | None = None
    created_at: Timestamp | None = None
    duplicate: bool = False
    error: SendError | None = None


class SendResults(WireModel):
    """The outcomes, in the order of the items."""

    results: list[SendResult]


class HeadsQuery(StrictModel):
    """gateway-ws -> messaging: how far are these rooms?"""

    room_ids: list[EntityId] = Field(max_length=1000)


FIRST_EPOCH = 1


class Heads(WireModel):
    """The highest majority-committed `seq` of each room; 0 for a room without entries."""

    heads: dict[EntityId, int]
    epoch: int = Field(FIRST_EPOCH, description="The incarnation of the log that the positions belong to")


class RoomEntries(WireModel):
    """messaging -> gateway-ws: consecutive log entries as ready-made `new-message` frames."""

    entries: list[tuple[int, str]]
    epoch: int = Field(FIRST_EPOCH, description="As in Heads")


class MediaAttachment(StrictModel):
    """An image that a user sends into a room."""

    media_id: EntityId
    room_id: EntityId
    user_id: EntityId


class MediaAttach(StrictModel):
    """messaging -> media: may these users show these images in these rooms? If so, note it."""

    attachments: list[MediaAttachment] = Field(max_length=1000)


class MediaAttached(WireModel):
    """One verdict per attachment, in order: true when the image exists and is the user's to show."""

    accepted: list[bool]


class AvatarStored(WireModel):
    """media -> auth: where the avatar can be seen."""

    media_id: EntityId
    url: str


class AccountItem(WireModel):
    """auth -> an operator: an account."""

    id: EntityId
    username: str
    email: str
    firstname: str
    lastname: str
    is_online: bool
    created_at: Timestamp
    last_seen: Timestamp | None


class AccountDetails(AccountItem):
    """auth -> an operator: one account that was asked for."""

    session_count: int = Field(description="Sessions that have not ended")


class AccountPage(WireModel):
    """auth -> an operator: accounts in the order in which they were made; `next` is the `after` of more."""

    accounts: list[AccountItem]
    next: EntityId | None


class SessionsEnded(WireModel):
    """auth -> an operator: how many sessions were alive until now."""

    ended: int
