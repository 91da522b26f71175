"""Leaving rooms: by one's own wish, removed by others, or because the account is gone."""

from chat_shared.contracts.base import utc_now

from chat_rooms.domain import LISTED_MEMBERS, Membership, Room
from chat_rooms.errors import MemberNotFound, RoomNotFound
from chat_rooms.service import facts
from chat_rooms.service.facts import LeaveReason
from chat_rooms.service.parts import Parts
from chat_rooms.service.rooms import remove
from chat_rooms.store import Transaction


async def leave_room(parts: Parts, room_id: str, user_id: str) -> None:
    """Leave a room; an owner hands it over, and the last one out deletes it.

    Raises:
        RoomNotFound, NotAMember: the user is not in this room.
    """

    async def work(tx: Transaction) -> None:
        standing = await tx.standing(room_id, user_id)
        await _depart(tx, standing.room, standing.require_member(), "left")

    await parts.transactions.run(work, room_id)
    parts.cleaner.wake()


async def remove_member(parts: Parts, room_id: str, actor_id: str, user_id: str) -> None:
    """Put a member out of a room; owners anybody else, admins plain members.

    Raises:
        RoomNotFound, NotAMember, RoleTooLow: the actor may not.
        MemberNotFound: the user is not a member.
        OwnerStays: the owner tried to remove themself.
    """

    async def work(tx: Transaction) -> None:
        standing = await tx.standing(room_id, actor_id)
        standing.require_manager()
        target = await tx.membership(room_id, user_id)
        if target is None:
            raise MemberNotFound
        standing.require_may_remove(target)
        await _depart(tx, standing.room, target, "removed")

    await parts.transactions.run(work, room_id)


async def close_account(parts: Parts, user_id: str) -> None:
    """Take a user whose account is gone out of every room; may be repeated at will."""

    async def close(tx: Transaction) -> None:
        await tx.close_account(user_id)

    await parts.transactions.run(close, user_id)
    for membership in await parts.queries.memberships_of(user_id):
        await _close_membership(parts, membership.room_id, user_id)
    parts.cleaner.wake()


async def _close_membership(parts: Parts, room_id: str, user_id: str) -> None:
    async def work(tx: Transaction) -> None:
        try:
            standing = await tx.standing(room_id, user_id)
        except RoomNotFound:
            return  # the clean-up of the room takes the membership with it
        if standing.membership is not None:
            await _depart(tx, standing.room, standing.membership, "account_deleted")

    await parts.transactions.run(work, room_id)


async def _depart(tx: Transaction, room: Room, leaver: Membership, reason: LeaveReason) -> None:
    heir = None
    if leaver.role == "owner":
        heir = await _heir(tx, room.id)
        if heir is None:
            await remove(tx, room)
            return
    await tx.remove_membership(leaver)
    room = room.without_member(await _listed_without(tx, room, leaver.user_id))
    if heir is not None:
        room = room.owned_by(heir.user_id, utc_now())
        await tx.change_role(heir, "owner", room.rev)
        await tx.tell(facts.room_updated(room))
    await tx.save_room(room)
    await tx.tell(facts.member_left(room, leaver.user_id, reason))


async def _heir(tx: Transaction, room_id: str) -> Membership | None:
    return await tx.longest_standing(room_id, "admin") or await tx.longest_standing(room_id, "member")


async def _listed_without(tx: Transaction, room: Room, user_id: str) -> tuple[str, ...]:
    """Return the members to list once `user_id` has gone; their membership is removed already."""
    if user_id in room.listed_members and room.member_count > LISTED_MEMBERS:
        return await tx.first_members(room.id)
    return tuple(listed for listed in room.listed_members if listed != user_id)
