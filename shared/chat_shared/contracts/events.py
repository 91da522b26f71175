"""Facts on the topic exchange `chat.events`: past tense, durable, delivered at least once.

A consumer sees an event again after a crash, and two events of one room may swap places when two
processes published them; `rev` (a per-room counter) says which membership fact is the newer one.
A change to an event only adds fields; anything else is a new version with a new key.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from chat_shared.contracts.base import EntityId, Timestamp, WireModel, utc_now
from chat_shared.ids import uuid7


class Event(WireModel):
    """What every event carries beside its own fields."""

    key: ClassVar[str]

    event_id: str = Field(default_factory=uuid7, examples=["01981f0e-7c3a-7b60-9d1e-3f1a2b4c5d6e"])
    occurred_at: Timestamp = Field(default_factory=utc_now)


class UserRegistered(Event):
    """An account was made."""

    key: ClassVar[str] = "user.registered.v1"
    user_id: EntityId
    username: str = Field(examples=["ada"])


class UserUpdated(Event):
    """A public profile changed."""

    key: ClassVar[str] = "user.updated.v1"
    user_id: EntityId
    username: str = Field(examples=["ada"])
    avatar_url: str | None = None


class UserDeleted(Event):
    """An account is gone, and all that belongs to it has to go."""

    key: ClassVar[str] = "user.deleted.v1"
    user_id: EntityId


class SessionRevoked(Event):
    """Sessions ended: their sockets close and their access tokens count no more."""

    key: ClassVar[str] = "session.revoked.v1"
    user_id: EntityId
    session_ids: list[str] = Field(max_length=1000, examples=[["665f1c2ab7e0a1f2d3c4b5a8"]])
    reason: Literal["logout", "revoked", "refresh_reuse", "password_changed", "account_deleted"]


class RoomCreated(Event):
    """A room was made; its owner is its first member."""

    key: ClassVar[str] = "room.created.v1"
    room_id: EntityId
    room_name: str = Field(examples=["Weekend hikes"])
    room_type: Literal["public", "private"]
    created_by: EntityId


class RoomUpdated(Event):
    """Name, type, description or owner of a room changed."""

    key: ClassVar[str] = "room.updated.v1"
    room_id: EntityId
    room_name: str = Field(examples=["Weekend hikes"])
    room_type: Literal["public", "private"]
    description: str = Field(examples=["Where to go, who drives, what to bring"])
    created_by: EntityId
    updated_at: Timestamp
    rev: int = Field(description="Counts the changes of the room", examples=[7])


class RoomDeleted(Event):
    """A room is gone with its memberships; its messages and keys have to go."""

    key: ClassVar[str] = "room.deleted.v1"
    room_id: EntityId
    rev: int = Field(description="Counts the changes of the room", examples=[7])


class MemberJoined(Event):
    """A user became a member."""

    key: ClassVar[str] = "member.joined.v1"
    room_id: EntityId
    user_id: EntityId
    role: Literal["owner", "admin", "member"]
    member_count: int = Field(examples=[3])
    rev: int = Field(description="Counts the changes of the room", examples=[7])


class MemberLeft(Event):
    """A user is no longer a member."""

    key: ClassVar[str] = "member.left.v1"
    room_id: EntityId
    user_id: EntityId
    reason: Literal["left", "removed", "account_deleted"]
    member_count: int = Field(examples=[3])
    rev: int = Field(description="Counts the changes of the room", examples=[7])


class AppendedEntry(WireModel):
    """One entry of a room's log, without its content."""

    message_id: EntityId
    seq: int = Field(examples=[42])
    sender_id: EntityId
    created_at: Timestamp
    trace: str | None = Field(None, description="`traceparent`, where the message is traced")


class RoomAppended(WireModel):
    """Consecutive entries of one room's log."""

    room_id: EntityId
    entries: list[AppendedEntry] = Field(min_length=1)


class MessagesAppended(Event):
    """Entries were committed to the logs of rooms (never their text): those of a moment, of many rooms."""

    key: ClassVar[str] = "messages.appended.v1"
    rooms: list[RoomAppended] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _of_one_room(cls, event: Any) -> Any:
        """Read also the form that it had at first, with one room in it: some may wait in a queue."""
        if isinstance(event, dict) and "rooms" not in event and "entries" in event:
            of_room = {key: event.get(key) for key in ("roomId", "entries")}
            return {"rooms": [of_room], **{key: event[key] for key in event.keys() - of_room.keys()}}
        return event


class MediaUploaded(Event):
    """A file was stored."""

    key: ClassVar[str] = "media.uploaded.v1"
    media_id: EntityId
    owner_id: EntityId
    kind: Literal["image", "file", "avatar"]
    size: int = Field(description="Bytes", examples=[48213])


class MediaDeleted(Event):
    """A file is gone."""

    key: ClassVar[str] = "media.deleted.v1"
    media_id: EntityId
    owner_id: EntityId


#: Every event, by routing key: what a consumer parses with and what the AsyncAPI document lists.
EVENTS: dict[str, type[Event]] = {
    event.key: event
    for event in (
        UserRegistered,
        UserUpdated,
        UserDeleted,
        SessionRevoked,
        RoomCreated,
        RoomUpdated,
        RoomDeleted,
        MemberJoined,
        MemberLeft,
        MessagesAppended,
        MediaUploaded,
        MediaDeleted,
    )
}
