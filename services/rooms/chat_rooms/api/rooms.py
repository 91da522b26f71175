"""Routes of rooms."""

from typing import Annotated

from chat_shared.auth import CurrentUser
from chat_shared.contracts.envelope import Page, Success
from chat_shared.errors import RateLimited
from chat_shared.openapi import problem_responses
from fastapi import APIRouter, Query
from starlette.convertors import Convertor, register_url_convertor

from chat_rooms.api.dependencies import DEFAULT_PAGE, After, Limit, PartsOfApp, RoomId, page_meta
from chat_rooms.errors import (
    NotAMember,
    RoleTooLow,
    RoomBusy,
    RoomNotFound,
    SearchTooSlow,
    SeqBeyondHead,
    TooManyRooms,
    UserNotFound,
)
from chat_rooms.schemas import (
    MyRoomBody,
    ReadBody,
    ReadPosition,
    RoomBody,
    RoomCreate,
    RoomUpdate,
    SearchText,
    my_room_body,
    room_body,
    standing_body,
)
from chat_rooms.service import positions, reading, rooms


class _RoomIdConvertor(Convertor[str]):
    """Any part of a path but `public`, which has a route of its own and no other methods than that."""

    regex = "(?!public$)[^/]+"

    def convert(self, value: str) -> str:
        """Return what stands in the path."""
        return value

    def to_string(self, value: str) -> str:
        """Return what goes into a path."""
        return value


register_url_convertor("room", _RoomIdConvertor())

router = APIRouter(prefix="/api/v1/room", tags=["rooms"])


@router.post("/", status_code=201, include_in_schema=False)
@router.post(
    "",
    status_code=201,
    summary="Create a room",
    response_description="Room created",
    responses=problem_responses(UserNotFound, TooManyRooms, RateLimited, RoomBusy),
)
async def create_room(body: RoomCreate, user: CurrentUser, parts: PartsOfApp) -> Success[MyRoomBody]:
    """Create a room that the caller owns."""
    created = await rooms.create_room(
        parts,
        user.user_id,
        name=body.room_name,
        room_type=body.room_type,
        description=body.description,
    )
    return Success(status_code=201, message="Room created", data=my_room_body(created))


@router.get("/", include_in_schema=False)
@router.get("", summary="List my rooms", response_description="A page of the rooms")
async def list_my_rooms(
    user: CurrentUser, parts: PartsOfApp, after: After, limit: Limit = DEFAULT_PAGE
) -> Page[MyRoomBody]:
    """List the caller's rooms, most recent activity first."""
    page = await reading.list_my_rooms(parts, user.user_id, after, limit)
    return Page(data=[my_room_body(standing) for standing in page.items], meta=page_meta(page.next))


@router.get(
    "/public",
    summary="List public rooms",
    response_description="A page of the rooms",
    responses=problem_responses(SearchTooSlow),
)
async def list_public_rooms(
    parts: PartsOfApp,
    after: After,
    limit: Limit = DEFAULT_PAGE,
    q: Annotated[SearchText | None, Query(description="Text anywhere in the name, in any case")] = None,
) -> Page[RoomBody]:
    """List public rooms, newest first; needs no login."""
    page = await reading.list_public_rooms(parts, q, after, limit)
    return Page(data=[room_body(room) for room in page.items], meta=page_meta(page.next))


@router.get(
    "/{room_id:room}",
    summary="Get a room",
    response_description="The room",
    responses=problem_responses(RoomNotFound),
)
async def get_room(room_id: RoomId, user: CurrentUser, parts: PartsOfApp) -> Success[MyRoomBody | RoomBody]:
    """Show one room; a private one only to its members."""
    return Success(data=standing_body(await reading.get_room(parts, room_id, user.user_id)))


@router.patch(
    "/{room_id:room}",
    summary="Update a room",
    response_description="Room updated",
    responses=problem_responses(RoomNotFound, NotAMember, RoleTooLow, RoomBusy),
)
async def update_room(
    room_id: RoomId, body: RoomUpdate, user: CurrentUser, parts: PartsOfApp
) -> Success[MyRoomBody]:
    """Change name, type or description; for the owner and admins."""
    updated = await rooms.update_room(parts, room_id, user.user_id, body.changes())
    return Success(message="Room updated", data=my_room_body(updated))


@router.delete(
    "/{room_id:room}",
    summary="Delete a room",
    response_description="Room deleted",
    responses=problem_responses(RoomNotFound, NotAMember, RoleTooLow, RoomBusy),
)
async def delete_room(room_id: RoomId, user: CurrentUser, parts: PartsOfApp) -> Success[None]:
    """Delete a room with all that was written in it; for the owner."""
    await rooms.delete_room(parts, room_id, user.user_id)
    return Success(message="Room deleted", data=None)


@router.post(
    "/{room_id}/read",
    summary="Mark as read",
    response_description="Marked as read",
    responses=problem_responses(RoomNotFound, NotAMember, SeqBeyondHead),
)
async def mark_read(
    room_id: RoomId, body: ReadPosition, user: CurrentUser, parts: PartsOfApp
) -> Success[ReadBody]:
    """Note up to which message the caller has read; it only moves forward."""
    standing = await positions.mark_read(parts, room_id, user.user_id, body.seq)
    return Success(
        message="Marked as read",
        data=ReadBody(
            room_id=room_id,
            last_read_seq=standing.require_member().last_read_seq,
            last_seq=standing.room.last_seq,
            unread=standing.unread,
        ),
    )
