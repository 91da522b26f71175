"""Entering rooms, and changing what members may do."""

from chat_shared.contracts.base import utc_now

from chat_rooms.domain import Membership, Role, Standing, new_membership
from chat_rooms.errors import AlreadyMember, MemberNotFound, UserNotFound
from chat_rooms.service import facts
from chat_rooms.service.parts import Parts
from chat_rooms.store import Transaction


async def join_room(parts: Parts, room_id: str, user_id: str) -> Standing:
    """Enter a public room.

    Raises:
        RoomNotFound: there is none, or it is private.
        AlreadyMember, RoomFull, TooManyRooms: there is no place for this user.
    """

    async def work(tx: Transaction) -> Standing:
        standing = await tx.standing(room_id, user_id)
        standing.require_may_join()
        return await _enter(parts, tx, standing, user_id, "member")

    return await parts.transactions.run(work, room_id, user_id)


async def add_member(parts: Parts, room_id: str, actor_id: str, user_id: str, role: Role) -> Membership:
    """Bring another user into a room; for its owner and admins.

    Raises:
        RoomNotFound, NotAMember, RoleTooLow: the actor may not.
        UserNotFound: there is no such user.
        AlreadyMember, RoomFull, TooManyRooms: there is no place for this user.
        Unavailable: auth cannot be asked.
    """
    (await parts.queries.standing(room_id, actor_id)).require_may_add(role)
    if not await parts.accounts.exists(user_id):
        raise UserNotFound

    async def work(tx: Transaction) -> Standing:
        standing = await tx.standing(room_id, actor_id)
        standing.require_may_add(role)
        if await tx.membership(room_id, user_id) is not None:
            raise AlreadyMember
        return await _enter(parts, tx, standing, user_id, role)

    entered = await parts.transactions.run(work, room_id, user_id)
    return entered.require_member()


async def _enter(parts: Parts, tx: Transaction, standing: Standing, user_id: str, role: Role) -> Standing:
    parts.bounds.require_place_in(standing.room)
    parts.bounds.require_place_for_user(await tx.claim_place(user_id))
    room = standing.room.with_member(user_id)
    membership = new_membership(room, user_id, role, utc_now())
    await tx.save_room(room)
    await tx.add_membership(membership)
    await tx.tell(facts.member_joined(room, membership))
    return Standing(room, membership)


async def change_role(parts: Parts, room_id: str, actor_id: str, user_id: str, role: Role) -> Membership:
    """Give another member a role; for the owner, who becomes an admin by making somebody else the owner.

    Raises:
        RoomNotFound, NotAMember, RoleTooLow: the actor may not.
        MemberNotFound: the user is not a member.
        OwnerStays: the owner tried to change their own role.
    """

    async def work(tx: Transaction) -> Membership:
        standing = await tx.standing(room_id, actor_id)
        owner = standing.require_owner()
        target = await tx.membership(room_id, user_id)
        if target is None:
            raise MemberNotFound
        standing.require_may_change_role(target)
        if target.role != role:
            target = await _set_role(tx, standing, owner, target, role)
        return target

    return await parts.transactions.run(work, room_id)


async def _set_role(
    tx: Transaction, standing: Standing, owner: Membership, target: Membership, role: Role
) -> Membership:
    room = standing.room.with_new_roles()
    if role == "owner":
        room = room.owned_by(target.user_id, utc_now())
        await tx.change_role(owner, "admin", room.rev)
        await tx.tell(facts.room_updated(room))
    await tx.save_room(room)
    return await tx.change_role(target, role, room.rev)
