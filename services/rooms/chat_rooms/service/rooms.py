"""Creating, changing and deleting rooms."""

from chat_shared.contracts.base import utc_now

from chat_rooms.domain import CREATE_ROOM, Room, RoomChanges, RoomType, Standing, new_room
from chat_rooms.service import facts
from chat_rooms.service.parts import Parts
from chat_rooms.store import Transaction, new_id


async def create_room(
    parts: Parts, user_id: str, *, name: str, room_type: RoomType, description: str
) -> Standing:
    """Make a room that the user owns.

    Raises:
        TooManyRooms: the user is in too many rooms already.
        RateLimited: the user made too many lately.
    """
    await parts.limits.hit(CREATE_ROOM, user_id)
    room, owner = new_room(
        new_id(), name=name, room_type=room_type, description=description, owner_id=user_id, now=utc_now()
    )

    async def work(tx: Transaction) -> None:
        parts.bounds.require_place_for_user(await tx.claim_place(user_id))
        await tx.add_room(room)
        await tx.add_membership(owner)
        await tx.tell(facts.room_created(room), facts.member_joined(room, owner))

    await parts.transactions.run(work, user_id)
    return Standing(room, owner)


async def update_room(parts: Parts, room_id: str, user_id: str, changes: RoomChanges) -> Standing:
    """Change a room's name, type or description; for its owner and admins.

    Raises:
        RoomNotFound, NotAMember, RoleTooLow: this user may not.
    """

    async def work(tx: Transaction) -> Standing:
        standing = await tx.standing(room_id, user_id)
        manager = standing.require_manager()
        room = standing.room.edited(changes, utc_now())
        await tx.save_room(room)
        await tx.tell(facts.room_updated(room))
        return Standing(room, manager)

    return await parts.transactions.run(work, room_id)


async def delete_room(parts: Parts, room_id: str, user_id: str) -> None:
    """Delete a room; for its owner.

    Raises:
        RoomNotFound, NotAMember, RoleTooLow: this user may not.
    """

    async def work(tx: Transaction) -> None:
        standing = await tx.standing(room_id, user_id)
        standing.require_owner()
        await remove(tx, standing.room)

    await parts.transactions.run(work, room_id)
    parts.cleaner.wake()


async def remove(tx: Transaction, room: Room) -> None:
    """Remove a room within a transaction: for everybody it is gone with the commit."""
    await tx.remove_room(room)
    await tx.tell(facts.room_deleted(room))
