"""Routes for the other services."""

from chat_shared.auth import require_service
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import (
    MembershipCheck,
    MembershipFacts,
    UserRooms,
    UsersRooms,
    UsersRoomsQuery,
)
from fastapi import APIRouter, Depends

from chat_rooms.api.dependencies import PartsOfApp
from chat_rooms.service import reading

router = APIRouter(prefix="/internal/v1", dependencies=[Depends(require_service)], include_in_schema=False)


@router.get("/users/{user_id}/rooms")
async def rooms_of_user(user_id: EntityId, parts: PartsOfApp) -> UserRooms:
    """List all rooms of a user."""
    return await reading.rooms_of_user(parts, user_id)


@router.post("/users/rooms")
async def rooms_of_users(body: UsersRoomsQuery, parts: PartsOfApp) -> UsersRooms:
    """List all rooms of users, for as many of them as an answer has place for."""
    return await reading.rooms_of_users(parts, body.user_ids)


@router.post("/memberships/check")
async def check_memberships(body: MembershipCheck, parts: PartsOfApp) -> MembershipFacts:
    """Tell who is a member where."""
    return await reading.check_memberships(parts, body.memberships)
