"""Routes of the members of a room."""

from chat_shared.auth import CurrentUser
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import Page, Success, problem_responses
from fastapi import APIRouter

from chat_rooms.api.dependencies import DEFAULT_PAGE, After, Limit, PartsOfApp, page_meta
from chat_rooms.schemas import MemberAdd, MemberBody, MyRoomBody, RoleChange, member_body, my_room_body
from chat_rooms.service import leaving, members, reading

router = APIRouter(prefix="/api/v1/room/{room_id}", tags=["members"])


@router.post("/join", summary="Join a room", responses=problem_responses(400, 401, 404, 409, 503))
async def join_room(room_id: EntityId, user: CurrentUser, parts: PartsOfApp) -> Success[MyRoomBody]:
    """Become a member of a public room."""
    joined = await members.join_room(parts, room_id, user.user_id)
    return Success(message="Joined the room", data=my_room_body(joined))


@router.get("/members", summary="Members", responses=problem_responses(400, 401, 403, 404, 503))
async def list_members(
    room_id: EntityId, user: CurrentUser, parts: PartsOfApp, after: After, limit: Limit = DEFAULT_PAGE
) -> Page[MemberBody]:
    """List the members in the order in which they joined; for members."""
    page = await reading.list_members(parts, room_id, user.user_id, after, limit)
    return Page(data=[member_body(membership) for membership in page.items], meta=page_meta(page.next))


@router.delete("/members", summary="Leave a room", responses=problem_responses(400, 401, 403, 404, 503))
async def leave_room(room_id: EntityId, user: CurrentUser, parts: PartsOfApp) -> Success[None]:
    """Leave; an owner's room goes to the longest-standing admin or member, the last one out deletes it."""
    await leaving.leave_room(parts, room_id, user.user_id)
    return Success(message="Left the room", data=None)


@router.post(
    "/members",
    status_code=201,
    summary="Add a member",
    responses=problem_responses(400, 401, 403, 404, 409, 503),
)
async def add_member(
    room_id: EntityId, body: MemberAdd, user: CurrentUser, parts: PartsOfApp
) -> Success[MemberBody]:
    """Bring another user in; for the owner and admins, and only the owner makes admins."""
    membership = await members.add_member(parts, room_id, user.user_id, body.user_id, body.role)
    return Success(status_code=201, message="Member added", data=member_body(membership))


@router.patch(
    "/members/{user_id}",
    summary="Change a role, or hand the room over",
    responses=problem_responses(400, 401, 403, 404, 503),
)
async def change_role(
    room_id: EntityId, user_id: EntityId, body: RoleChange, user: CurrentUser, parts: PartsOfApp
) -> Success[MemberBody]:
    """Give a member another role; for the owner, who becomes an admin by handing the room over."""
    membership = await members.change_role(parts, room_id, user.user_id, user_id, body.role)
    return Success(message="Role changed", data=member_body(membership))


@router.delete(
    "/members/{user_id}", summary="Remove a member", responses=problem_responses(400, 401, 403, 404, 503)
)
async def remove_member(
    room_id: EntityId, user_id: EntityId, user: CurrentUser, parts: PartsOfApp
) -> Success[None]:
    """Put a member out; the owner anybody else, admins plain members."""
    await leaving.remove_member(parts, room_id, user.user_id, user_id)
    return Success(message="Member removed", data=None)
