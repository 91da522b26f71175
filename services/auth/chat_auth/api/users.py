"""Routes of public profiles."""

from typing import Annotated

from chat_shared.auth import CurrentUser
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import Success
from chat_shared.openapi import problem_responses
from fastapi import Path, Query

from chat_auth.api.routing import ServicesDep, SlashTolerantRouter
from chat_auth.errors import UserNotFound
from chat_auth.schemas import PublicUser

MAX_USERS = 100
MAX_IDS_LENGTH = MAX_USERS * 25 - 1

router = SlashTolerantRouter(prefix="/api/v1/users", tags=["users"])


@router.get("", summary="Get several users", response_description="The profiles")
async def list_users(
    _identity: CurrentUser,
    services: ServicesDep,
    ids: Annotated[
        str,
        Query(
            max_length=MAX_IDS_LENGTH,
            pattern="^[0-9a-f]{24}(,[0-9a-f]{24})*$",
            description="Comma-separated, 100 at most",
            examples=["665f1c2ab7e0a1f2d3c4b5a6,665f1c2ab7e0a1f2d3c4b5a7"],
        ),
    ],
) -> Success[list[PublicUser]]:
    """Return the profiles of up to 100 users in the order asked for, without those who are gone."""
    profiles = await services.profiles.many(list(dict.fromkeys(ids.split(","))))
    return Success(data=[PublicUser.of(user, is_online=is_online) for user, is_online in profiles])


@router.get(
    "/{user_id}",
    summary="Get a user",
    response_description="The profile",
    responses=problem_responses(UserNotFound),
)
async def get_user(
    user_id: Annotated[EntityId, Path(description="The user's id")],
    _identity: CurrentUser,
    services: ServicesDep,
) -> Success[PublicUser]:
    """Return the public profile of a user."""
    user, is_online = await services.profiles.one(user_id)
    return Success(data=PublicUser.of(user, is_online=is_online))
