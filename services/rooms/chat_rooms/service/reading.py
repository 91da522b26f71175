"""Answers about rooms, members and memberships."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from chat_shared.contracts.internal import (
    MembershipFact,
    MembershipFacts,
    MembershipKey,
    UserRoom,
    UserRooms,
    UsersRooms,
)

from chat_rooms.cursors import Position
from chat_rooms.domain import Membership, Room, Standing
from chat_rooms.service.parts import Parts

ItemT = TypeVar("ItemT")

MAX_ANSWERED = 5_000
"""Memberships in one answer about several users."""


class Slice(NamedTuple, Generic[ItemT]):
    """One page of a list, and where the next one begins."""

    items: list[ItemT]
    next: Position | None


async def get_room(parts: Parts, room_id: str, user_id: str) -> Standing:
    """Return a room as this user stands to it.

    Raises:
        RoomNotFound: there is none, or it is private and the user is not in it.
    """
    standing = await parts.queries.standing(room_id, user_id)
    standing.require_visible()
    return standing


async def list_my_rooms(parts: Parts, user_id: str, after: Position | None, limit: int) -> Slice[Standing]:
    """Return rooms of a user, most recent activity first.

    A room with a new message moves to the front while a client pages; it is not shown a second time.
    """
    memberships = {
        membership.room_id: membership for membership in await parts.queries.memberships_of(user_id)
    }
    rooms = await parts.queries.most_active(memberships, after, limit + 1)
    shown = [Standing(room, memberships[room.id]) for room in rooms[:limit]]
    return Slice(shown, Position(shown[-1].room.active_at, shown[-1].room.id) if len(rooms) > limit else None)


async def list_public_rooms(
    parts: Parts, search: str | None, after: Position | None, limit: int
) -> Slice[Room]:
    """Return public rooms, newest first, with `search` anywhere in their names."""
    rooms = await parts.queries.public_rooms(search, after, limit + 1)
    shown = rooms[:limit]
    return Slice(shown, Position(shown[-1].created_at, shown[-1].id) if len(rooms) > limit else None)


async def list_members(
    parts: Parts, room_id: str, user_id: str, after: Position | None, limit: int
) -> Slice[Membership]:
    """Return members of a room in the order in which they joined; for its members.

    Raises:
        RoomNotFound, NotAMember: the user is not in this room.
    """
    (await parts.queries.standing(room_id, user_id)).require_member()
    members = await parts.queries.members(room_id, after, limit + 1)
    shown = members[:limit]
    return Slice(shown, Position(shown[-1].joined_at, shown[-1].user_id) if len(members) > limit else None)


async def rooms_of_user(parts: Parts, user_id: str) -> UserRooms:
    """Return all rooms of a user, for the gateway."""
    memberships = {user_id: await parts.queries.memberships_of(user_id)}
    return UserRooms(rooms=(await _as_rooms(parts, memberships))[user_id])


async def rooms_of_users(parts: Parts, user_ids: Sequence[str]) -> UsersRooms:
    """Return all rooms of each user, without those users whose rooms an answer has no place for."""
    memberships = await parts.queries.memberships_of_each(user_ids, MAX_ANSWERED)
    return UsersRooms(rooms=await _as_rooms(parts, memberships))


async def _as_rooms(
    parts: Parts, memberships: Mapping[str, Sequence[Membership]]
) -> dict[str, list[UserRoom]]:
    """Return what the gateway needs of each user's memberships; rooms that were just deleted are left out."""
    counts = await parts.queries.member_counts(
        {membership.room_id for entered in memberships.values() for membership in entered}
    )
    return {
        user_id: [
            UserRoom(
                room_id=membership.room_id,
                role=membership.role,
                rev=membership.rev,
                member_count=counts[membership.room_id],
            )
            for membership in entered
            if membership.room_id in counts
        ]
        for user_id, entered in memberships.items()
    }


async def check_memberships(parts: Parts, questions: Sequence[MembershipKey]) -> MembershipFacts:
    """Return who is a member where, in the order of the questions."""
    room_types, stored = await asyncio.gather(
        parts.queries.room_types({question.room_id for question in questions}),
        parts.queries.memberships([(question.room_id, question.user_id) for question in questions]),
    )
    # A room that was just deleted is gone before all of its memberships are.
    memberships = {key: membership for key, membership in stored.items() if key[0] in room_types}

    def fact(question: MembershipKey) -> MembershipFact:
        membership = memberships.get((question.room_id, question.user_id))
        return MembershipFact(
            room_id=question.room_id,
            user_id=question.user_id,
            role=None if membership is None else membership.role,
            rev=0 if membership is None else membership.rev,
            room_type=room_types.get(question.room_id),
        )

    return MembershipFacts(memberships=[fact(question) for question in questions])
