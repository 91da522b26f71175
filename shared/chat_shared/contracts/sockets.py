"""Payloads and acknowledgements of the Socket.IO events."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from chat_shared.contracts.base import SOMETHING, EntityId, StrictModel, Timestamp, WireModel

MAX_CONTENT_LENGTH = 4000
MAX_SYNC_ROOMS = 200

_EXAMPLE_KEY = "01981f0e-7c3a-7b60-9d1e-3f1a2b4c5d6e"

#: What `SendMessage` wants of its fields together.
TEXT_OR_IMAGE: dict[str, Any] = {
    "if": {"properties": {"messageType": {"const": "image"}}, "required": ["messageType"]},
    "then": {"properties": {"imageUrl": {"type": "string"}}, "required": ["imageUrl"]},
    "else": {
        "properties": {"content": {"pattern": SOMETHING}, "imageUrl": {"type": "null"}},
        "required": ["content"],
    },
}

MessageType = Literal["text", "image"]


def _bare_room_id(value: Any) -> Any:
    """Existing clients send the room id itself where `{roomId}` is documented."""
    return {"roomId": value} if isinstance(value, str) else value


class JoinRoom(StrictModel):
    """`join_room`: show me this room; `after` asks for what followed that `seq`."""

    room_id: EntityId
    after: int | None = Field(None, ge=0, examples=[41])
    epoch: int | None = Field(None, ge=1, description="The epoch in which `after` was seen", examples=[1])

    _accept_bare_id = model_validator(mode="before")(_bare_room_id)


class LeaveRoom(StrictModel):
    """`leave_room`: this connection no longer wants the room's messages."""

    room_id: EntityId

    _accept_bare_id = model_validator(mode="before")(_bare_room_id)


class SendMessage(StrictModel):
    """`send_message`: append to the room's log; repeat with the same `clientMessageId` until answered."""

    model_config = ConfigDict(json_schema_extra=TEXT_OR_IMAGE)

    room_id: EntityId
    content: str = Field("", max_length=MAX_CONTENT_LENGTH, examples=["hello"])
    message_type: MessageType = "text"
    image_url: str | None = Field(None, min_length=1, max_length=500)
    client_message_id: str | None = Field(
        None, min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$", examples=[_EXAMPLE_KEY]
    )

    @model_validator(mode="after")
    def _carries_something(self) -> "SendMessage":
        if self.message_type == "text" and not self.content.strip():
            raise ValueError("content must not be empty")
        if self.message_type == "text" and self.image_url is not None:
            raise ValueError("imageUrl goes with messageType image")
        if self.message_type == "image" and self.image_url is None:
            raise ValueError("an image message needs imageUrl")
        return self


class SyncPosition(StrictModel):
    """How far a client has applied one room."""

    room_id: EntityId
    after: int = Field(ge=0, examples=[41])


class Sync(StrictModel):
    """`sync`: send me all that I missed in these rooms, in order, and then the live messages."""

    rooms: list[SyncPosition] = Field(min_length=1, max_length=MAX_SYNC_ROOMS)
    epoch: int | None = Field(
        None, ge=1, description="The epoch in which the positions were seen", examples=[1]
    )


class Typing(StrictModel):
    """`typing`: best effort, kept nowhere."""

    room_id: EntityId
    typing: bool


class AckError(WireModel):
    """Why an event was refused."""

    code: str = Field(description="Stable, machine-readable reason", examples=["not_a_member"])
    message: str = Field(examples=["Join the room first"])
    retryable: bool = Field(description="True when the same may work later")


class AckFailed(WireModel):
    """The acknowledgement of an event that failed."""

    ok: Literal[False] = False
    error: AckError


class AckDone(WireModel):
    """The acknowledgement of `leave_room` and `typing`."""

    ok: Literal[True] = True


class AckJoined(WireModel):
    """The acknowledgement of `join_room`; `reset`: the history to come does not follow `after`."""

    ok: Literal[True] = True
    room_id: EntityId
    head: int = Field(examples=[42])
    epoch: int = Field(examples=[1])
    reset: bool = False


class AckSent(WireModel):
    """The acknowledgement of `send_message`: stored for ever at `seq`."""

    ok: Literal[True] = True
    message_id: EntityId
    seq: int = Field(examples=[42])
    created_at: Timestamp
    duplicate: bool


class SyncedRoom(WireModel):
    """Where a room stands after `sync`; `reset`: nothing was sent, load the newest page instead."""

    room_id: EntityId
    head: int = Field(examples=[42])
    reset: bool = False
    error: AckError | None = None


class AckSynced(WireModel):
    """The acknowledgement of `sync`, after the missing messages were delivered."""

    ok: Literal[True] = True
    epoch: int | None = Field(
        None, description="What to send with later positions; absent: nobody knows", examples=[1]
    )
    rooms: list[SyncedRoom]


class Message(WireModel):
    """A message as every client sees it: `new-message`, `message-history` and the REST history."""

    message_id: EntityId
    room_id: EntityId
    seq: int = Field(examples=[42])
    sender_id: EntityId
    content: str = Field(examples=["hello"])
    message_type: MessageType
    image_url: str | None
    created_at: Timestamp
    client_message_id: str = Field(
        description="Its sender's, or the server's where the sender gave none", examples=[_EXAMPLE_KEY]
    )
    legacy_id: EntityId = Field(alias="_id", description="Same as messageId, for existing clients")
    sender: EntityId = Field(description="Same as senderId, for existing clients")


class MessageHistory(WireModel):
    """`message-history`: oldest first; the newest 50, or what follows the `after` of `join_room`."""

    room_id: EntityId
    messages: list[Message]
    head: int = Field(examples=[42])
    epoch: int = Field(examples=[1])
    reset: bool = Field(False, description="These are the newest messages, not what follows `after`")


class DeliveredHeads(WireModel):
    """`heads`: how far the rooms of this socket were delivered; a client below that missed something."""

    epoch: int = Field(examples=[1])
    heads: dict[EntityId, int] = Field(examples=[{"665f1c2ab7e0a1f2d3c4b5a6": 42}])


class RoomPresence(WireModel):
    """`user-online`, `user-offline`, `user-joined`, `user-left`."""

    user_id: EntityId
    room_id: EntityId


class TypingNotice(WireModel):
    """`typing`, as the others in the room see it."""

    user_id: EntityId
    room_id: EntityId
    typing: bool


class RoomChanged(WireModel):
    """`room-updated`."""

    room_id: EntityId
    room_name: str = Field(examples=["Weekend hikes"])
    room_type: Literal["public", "private"]
    description: str = Field(examples=["Where to go, who drives, what to bring"])
    created_by: EntityId
    updated_at: Timestamp


class RoomGone(WireModel):
    """`room-deleted`."""

    room_id: EntityId


class SessionEnded(WireModel):
    """`session-ended`: the connection closes now; log in again before you reconnect."""

    reason: str = Field(examples=["logout"])
    reconnect: bool = False


class ErrorNotice(WireModel):
    """`error`: a refusal of an event that asked for no acknowledgement."""

    message: str = Field(examples=["Join the room first"])
    code: str = Field(examples=["not_a_member"])


class ConnectRefusal(WireModel):
    """The `data` of `connect_error`: why a socket was not let in."""

    code: str = Field(examples=["busy"])
    retryable: bool = Field(examples=[True])
    retry_after_ms: int | None = Field(
        None, description="Come back after that time; with retryable ones", examples=[1500]
    )


class ConnectError(WireModel):
    """`connect_error`, as Socket.IO sends it."""

    message: str = Field(examples=["Too many are connecting; come back later"])
    data: ConnectRefusal


class Drain(WireModel):
    """`drain`: this gateway goes away; reconnect after the delay."""

    delay_ms: int = Field(examples=[1200])
