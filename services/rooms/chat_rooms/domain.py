"""What a room is, who may do what in it, and how it changes: rules and values, no I/O."""

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from chat_rooms.errors import (
    AlreadyMember,
    NotAMember,
    OwnerStays,
    RoleTooLow,
    RoomFull,
    RoomNotFound,
    TooManyRooms,
)

Role = Literal["owner", "admin", "member"]
RoomType = Literal["public", "private"]

#: A room shows this many of its members in itself; the rest are paged.
LISTED_MEMBERS = 100
#: The name of the rate of rooms created by one user.
CREATE_ROOM = "create_room"


@dataclass(frozen=True, slots=True)
class Room:
    """A room as it was at one `rev`."""

    id: str
    name: str
    type: RoomType
    description: str
    owner_id: str
    member_count: int
    listed_members: tuple[str, ...]
    """The first members by order of joining, at most `LISTED_MEMBERS`."""
    rev: int
    """Counts the changes of the room, its members and their roles."""
    last_seq: int
    """Where the room's log was when messaging last told us."""
    last_message_at: datetime | None
    active_at: datetime
    """The last message, or the creation of a room without any: what «most recent activity» means."""
    created_at: datetime
    updated_at: datetime

    def edited(self, changes: "RoomChanges", now: datetime) -> "Room":
        """Return the room with another name, type or description."""
        return replace(
            self,
            name=self.name if changes.name is None else changes.name,
            type=self.type if changes.type is None else changes.type,
            description=self.description if changes.description is None else changes.description,
            rev=self.rev + 1,
            updated_at=now,
        )

    def with_member(self, user_id: str) -> "Room":
        """Return the room with one more member."""
        listed = self.listed_members
        if len(listed) < LISTED_MEMBERS:
            listed = (*listed, user_id)
        return replace(self, member_count=self.member_count + 1, listed_members=listed, rev=self.rev + 1)

    def without_member(self, listed_members: tuple[str, ...]) -> "Room":
        """Return the room with one member less; `listed_members` are the first of those who stay."""
        return replace(
            self, member_count=self.member_count - 1, listed_members=listed_members, rev=self.rev + 1
        )

    def owned_by(self, user_id: str, now: datetime) -> "Room":
        """Return the room with another owner; part of a change that counts `rev` itself."""
        return replace(self, owner_id=user_id, updated_at=now)

    def with_new_roles(self) -> "Room":
        """Return the room after some member's role changed."""
        return replace(self, rev=self.rev + 1)


@dataclass(frozen=True, slots=True)
class RoomChanges:
    """What to change of a room; None leaves a thing as it is."""

    name: str | None = None
    type: RoomType | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """One user in one room."""

    room_id: str
    user_id: str
    role: Role
    rev: int
    """The room's `rev` when this membership began or its role last changed."""
    joined_at: datetime
    last_read_seq: int

    @property
    def manages(self) -> bool:
        """Whether this member is the owner or an admin."""
        return self.role != "member"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one user stands to one room that exists."""

    room: Room
    membership: Membership | None

    @property
    def unread(self) -> int:
        """How many messages of the room's log the member has not read."""
        read = 0 if self.membership is None else self.membership.last_read_seq
        return max(0, self.room.last_seq - read)

    def require_visible(self) -> None:
        """Raise `RoomNotFound` for somebody outside of a private room, as if there were none."""
        if self.room.type == "private" and self.membership is None:
            raise RoomNotFound

    def require_member(self) -> Membership:
        """Return the membership.

        Raises:
            RoomNotFound: outside of a private room.
            NotAMember: outside of a public one.
        """
        self.require_visible()
        if self.membership is None:
            raise NotAMember
        return self.membership

    def require_manager(self) -> Membership:
        """Return the membership of an owner or admin; raises `RoleTooLow` for a plain member."""
        membership = self.require_member()
        if not membership.manages:
            raise RoleTooLow
        return membership

    def require_owner(self) -> Membership:
        """Return the membership of the owner; raises `RoleTooLow` for any other member."""
        membership = self.require_member()
        if membership.role != "owner":
            raise RoleTooLow
        return membership

    def require_may_join(self) -> None:
        """Raise unless this user may become a member by their own wish."""
        if self.membership is not None:
            raise AlreadyMember
        self.require_visible()

    def require_may_add(self, role: Role) -> None:
        """Raise unless this member may bring others in with `role`."""
        if self.require_manager().role != "owner" and role != "member":
            raise RoleTooLow

    def require_may_remove(self, target: Membership) -> None:
        """Raise unless this member may put `target` out."""
        manager = self.require_manager()
        if target.role == "owner" and manager.role == "owner":
            raise OwnerStays
        if manager.role == "admin" and target.role != "member":
            raise RoleTooLow

    def require_may_change_role(self, target: Membership) -> None:
        """Raise unless this member may give `target` another role."""
        if self.require_owner().user_id == target.user_id:
            raise OwnerStays


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large things may grow."""

    rooms_per_user: int
    members_per_room: int

    def require_place_in(self, room: Room) -> None:
        """Raise `RoomFull` when no further member fits."""
        if room.member_count >= self.members_per_room:
            raise RoomFull

    def require_place_for_user(self, room_count: int) -> None:
        """Raise `TooManyRooms` when a user in `room_count` rooms may not enter another."""
        if room_count >= self.rooms_per_user:
            raise TooManyRooms


def new_room(
    room_id: str, *, name: str, room_type: RoomType, description: str, owner_id: str, now: datetime
) -> tuple[Room, Membership]:
    """Return a room as it begins, and the membership of its owner."""
    room = Room(
        id=room_id,
        name=name,
        type=room_type,
        description=description,
        owner_id=owner_id,
        member_count=1,
        listed_members=(owner_id,),
        rev=1,
        last_seq=0,
        last_message_at=None,
        active_at=now,
        created_at=now,
        updated_at=now,
    )
    return room, new_membership(room, owner_id, "owner", now)


def new_membership(room: Room, user_id: str, role: Role, now: datetime) -> Membership:
    """Return a membership that begins with `room.rev`; what was written before does not count as unread."""
    return Membership(room.id, user_id, role, room.rev, now, room.last_seq)


def search_key(text: str) -> str:
    """Return `text` in the form in which names are searched: case and width do not matter."""
    return unicodedata.normalize("NFKC", text).casefold()
