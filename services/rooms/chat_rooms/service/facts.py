"""The events that this service publishes, made from its values."""

from typing import Literal

from chat_shared.contracts.events import MemberJoined, MemberLeft, RoomCreated, RoomDeleted, RoomUpdated

from chat_rooms.domain import Membership, Room

LeaveReason = Literal["left", "removed", "account_deleted"]


def room_created(room: Room) -> RoomCreated:
    """Return the event for a new room."""
    return RoomCreated(room_id=room.id, room_name=room.name, room_type=room.type, created_by=room.owner_id)


def room_updated(room: Room) -> RoomUpdated:
    """Return the event for a room with another name, type, description or owner."""
    return RoomUpdated(
        room_id=room.id,
        room_name=room.name,
        room_type=room.type,
        description=room.description,
        created_by=room.owner_id,
        updated_at=room.updated_at,
        rev=room.rev,
    )


def room_deleted(room: Room) -> RoomDeleted:
    """Return the event for a room that goes now; `room` is what it was last."""
    return RoomDeleted(room_id=room.id, rev=room.rev + 1)


def member_joined(room: Room, membership: Membership) -> MemberJoined:
    """Return the event for a new member of `room`."""
    return MemberJoined(
        room_id=room.id,
        user_id=membership.user_id,
        role=membership.role,
        member_count=room.member_count,
        rev=room.rev,
    )


def member_left(room: Room, user_id: str, reason: LeaveReason) -> MemberLeft:
    """Return the event for somebody who is no longer a member of `room`."""
    return MemberLeft(
        room_id=room.id, user_id=user_id, reason=reason, member_count=room.member_count, rev=room.rev
    )
