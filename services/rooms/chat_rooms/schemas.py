"""HTTP bodies."""

from typing import Annotated, Literal

from chat_shared.contracts.base import (
    EntityId,
    StrictModel,
    Stripped,
    Timestamp,
    WireModel,
    one_of,
)
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from chat_rooms.domain import Membership, Role, Room, RoomChanges, RoomType, Standing

#: Part of one line: no control characters, no line or paragraph separators.
_IN_LINE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"
#: One character of it that is no white space.
_SHOWN = r"[^\s\x00-\x1f\x7f-\x9f]"
#: Several lines: tab and line breaks besides.
_SOME_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
#: The largest integer that every JSON client reads exactly.
_MAX_SEQ = 2**53 - 1

RoomName = Annotated[
    str,
    StringConstraints(
        min_length=2, max_length=80, pattern=f"^{_IN_LINE}{_SHOWN}{_IN_LINE}{_SHOWN}{_IN_LINE}$"
    ),
    Stripped,
    Field(examples=["Weekend hikes"]),
]
Description = Annotated[
    str,
    StringConstraints(max_length=350, pattern=_SOME_LINES),
    Stripped,
    Field(examples=["Where to go, who drives, what to bring"]),
]
SearchText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=80, pattern=f"^{_IN_LINE}{_SHOWN}{_IN_LINE}$"),
    Stripped,
]


class RoomCreate(StrictModel):
    """A room to make."""

    room_name: RoomName
    room_type: RoomType = "public"
    description: Description = ""


class RoomUpdate(StrictModel):
    """What to change of a room; what is absent or null stays as it is."""

    model_config = ConfigDict(json_schema_extra=one_of("roomName", "roomType", "description"))

    room_name: RoomName | None = None
    room_type: RoomType | None = None
    description: Description | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "RoomUpdate":
        if self.room_name is None and self.room_type is None and self.description is None:
            raise ValueError("name at least one of roomName, roomType, description")
        return self

    def changes(self) -> RoomChanges:
        """Return the changes as the domain knows them."""
        return RoomChanges(self.room_name, self.room_type, self.description)


class MemberAdd(StrictModel):
    """A user to bring into a room."""

    user_id: EntityId
    role: Literal["admin", "member"] = "member"


class RoleChange(StrictModel):
    """The role that a member shall have; `owner` hands the room over."""

    role: Role


class ReadPosition(StrictModel):
    """Up to which message a member has read."""

    seq: int = Field(ge=0, le=_MAX_SEQ, examples=[42])


class RoomBody(WireModel):
    """A room as everybody sees it who may see it at all."""

    id: EntityId
    legacy_id: EntityId = Field(alias="_id", description="Same as id, for existing clients")
    room_name: str = Field(examples=["Weekend hikes"])
    room_type: RoomType
    description: str = Field(examples=["Where to go, who drives, what to bring"])
    created_by: EntityId = Field(description="The current owner")
    members: list[EntityId] = Field(description="The first 100 by order of joining")
    member_count: int = Field(examples=[3])
    created_at: Timestamp
    updated_at: Timestamp


class MyRoomBody(RoomBody):
    """A room as its members see it."""

    role: Role
    last_seq: int = Field(
        description="Position of the newest message; follows sending with a delay", examples=[57]
    )
    last_message_at: Timestamp | None
    unread: int = Field(description="Messages above the own `lastReadSeq`", examples=[15])


class MemberBody(WireModel):
    """One member of a room."""

    user_id: EntityId
    role: Role
    joined_at: Timestamp


class ReadBody(WireModel):
    """How far a member has read now."""

    room_id: EntityId
    last_read_seq: int = Field(examples=[42])
    last_seq: int = Field(examples=[57])
    unread: int = Field(examples=[15])


def room_body(room: Room) -> RoomBody:
    """Return a room for somebody outside of it."""
    return RoomBody(
        id=room.id,
        legacy_id=room.id,
        room_name=room.name,
        room_type=room.type,
        description=room.description,
        created_by=room.owner_id,
        members=list(room.listed_members),
        member_count=room.member_count,
        created_at=room.created_at,
        updated_at=room.updated_at,
    )


def standing_body(standing: Standing) -> MyRoomBody | RoomBody:
    """Return a room as this user may see it."""
    return room_body(standing.room) if standing.membership is None else my_room_body(standing)


def my_room_body(standing: Standing) -> MyRoomBody:
    """Return a room for one of its members."""
    return MyRoomBody(
        **room_body(standing.room).model_dump(by_alias=False),
        role=standing.require_member().role,
        last_seq=standing.room.last_seq,
        last_message_at=standing.room.last_message_at,
        unread=standing.unread,
    )


def member_body(membership: Membership) -> MemberBody:
    """Return one member of a room."""
    return MemberBody(user_id=membership.user_id, role=membership.role, joined_at=membership.joined_at)
