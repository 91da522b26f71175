"""Routes of the members of a room."""

from chat_shared.auth import CurrentUser
from chat_shared.contracts.envelope import Page, Success
from chat_shared.openapi import problem_responses
from fastapi import APIRouter

from chat_rooms.api.dependencies import DEFAULT_PAGE, After, Limit, MemberId, PartsOfApp, RoomId, page_meta
from chat_rooms.errors import (
    AlreadyMember,
    MemberNotFound,
    NotAMember,
    OwnerStays,
    RoleTooLow,
    RoomBusy,
    RoomFull,
    RoomNotFound,
    TooManyRooms,
    UserNotFound,
)
from chat_rooms.schemas import MemberAdd, MemberBody, MyRoomBody, RoleChange, member_body, my_room_body
from chat_rooms.service import leaving, members, reading

router = APIRouter(prefix="/api/v1/room/{room_id}", tags=["members"])

_NO_PLACE = (UserNotFound, AlreadyMember, RoomFull, TooManyRooms, RoomBusy)
_NOT_IN_CHARGE = (RoomNotFound, NotAMember, RoleTooLow)


@router.post(
    "/join",
    summary="Join a room",
    response_description="Joined the room",
    responses=problem_responses(RoomNotFound, *_NO_PLACE),
)
async def join_room(room_id: RoomId, user: CurrentUser, parts: PartsOfApp) -> Success[MyRoomBody]:
    """Become a member of a public room."""
    joined = await members.join_room(parts, room_id, user.user_id)
    return Success(message="Joined the room", data=my_room_body(joined))


@router.get(
    "/members",
    summary="List the members",
    response_description="A page of the members",
    responses=problem_responses(RoomNotFound, NotAMember),
)
async def list_members(
    room_id: RoomId, user: CurrentUser, parts: PartsOfApp, after: After, limit: Limit = DEFAULT_PAGE
) -> Page[MemberBody]:
    """List the members in the order in which they joined; for members."""
    page = await reading.list_members(parts, room_id, user.user_id, after, limit)
    return Page(data=[member_body(membership) for membership in page.items], meta=page_meta(page.next))


@router.delete(
    "/members",
    summary="Leave a room",
    response_description="Left the room",
    responses=problem_responses(RoomNotFound, NotAMember, RoomBusy),
)
async def leave_room(room_id: RoomId, user: CurrentUser, parts: PartsOfApp) -> Success[None]:
    """Leave; an owner's room goes to the longest-standing admin or member, the last one out deletes it."""
    await leaving.leave_room(parts, room_id, user.user_id)
    return Success(message="Left the room", data=None)


@router.post(
    "/members",
    status_code=201,
    summary="Add a member",
    response_description="Member added",
    responses=problem_responses(*_NOT_IN_CHARGE, *_NO_PLACE),
)
async def add_member(
    room_id: RoomId, body: MemberAdd, user: CurrentUser, parts: PartsOfApp
) -> Success[MemberBody]:
    """Bring another user in; for the owner and admins, and only the owner makes admins."""
    membership = await members.add_member(parts, room_id, user.user_id, body.user_id, body.role)
    return Success(status_code=201, message="Member added", data=member_body(membership))


@router.patch(
    "/members/{user_id}",
    summary="Change a role, or hand the room over",
    response_description="Role changed",
    responses=problem_responses(*_NOT_IN_CHARGE, MemberNotFound, OwnerStays, RoomBusy),
)
async def change_role(
    room_id: RoomId, user_id: MemberId, body: RoleChange, user: CurrentUser, parts: PartsOfApp
) -> Success[MemberBody]:
    """Give a member another role; for the owner, who becomes an admin by handing the room over."""
    membership = await members.change_role(parts, room_id, user.user_id, user_id, body.role)
    return Success(message="Role changed", data=member_body(membership))


@router.delete(
    "/members/{user_id}",
    summary="Remove a member",
    response_description="Member removed",
    responses=problem_responses(*_NOT_IN_CHARGE, MemberNotFound, OwnerStays, RoomBusy),
)
async def remove_member(
    room_id: RoomId, user_id: MemberId, user: CurrentUser, parts: PartsOfApp
) -> Success[None]:
    """Put a member out; the owner anybody else, admins plain members."""
    await leaving.remove_member(parts, room_id, user.user_id, user_id)
    return Success(message="Member removed", data=None)
