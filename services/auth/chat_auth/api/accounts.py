"""Routes of one's own account."""

from typing import Any

from chat_shared.auth import CurrentUser
from chat_shared.contracts.envelope import Success
from chat_shared.errors import RateLimited, UnsupportedMedia
from chat_shared.openapi import problem_responses
from fastapi import Request, Response

from chat_auth.api.bodies import MAX_FORM_BYTES, read_body
from chat_auth.api.cookies import clear_tokens
from chat_auth.api.routing import CallerDep, ServicesDep, SlashTolerantRouter
from chat_auth.errors import (
    AccountTaken,
    AvatarStoreAway,
    AvatarTooLarge,
    HashingBusy,
    ImageBroken,
    ImageTooLarge,
    UnsupportedImage,
    WrongPassword,
)
from chat_auth.schemas import DeleteAccountBody, OwnUser, PasswordBody, ProfileBody, RegisterBody
from chat_auth.service.accounts import ProfileChange

router = SlashTolerantRouter(prefix="/api/v1/auth", tags=["account"])

_AVATAR_REFUSED = (
    AvatarTooLarge,
    UnsupportedMedia,
    UnsupportedImage,
    ImageBroken,
    ImageTooLarge,
    AvatarStoreAway,
)
_PASSWORD_REFUSED = (WrongPassword, RateLimited, HashingBusy)


def _json_or_form(model: type[RegisterBody | ProfileBody]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that may carry an avatar."""
    schema = model.model_json_schema()
    avatar = {"type": "string", "format": "binary", "description": "An image, 5 MB at most"}
    # A form knows no null: what is not to be changed is left out.
    fields = {name: field.get("anyOf", [field])[0] for name, field in schema["properties"].items()}
    form = {**schema, "properties": {**fields, "avatar": avatar}}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/register",
    status_code=201,
    summary="Register",
    response_description="Account made",
    max_body_size=MAX_FORM_BYTES,
    responses=problem_responses(AccountTaken, RateLimited, HashingBusy, *_AVATAR_REFUSED),
    openapi_extra=_json_or_form(RegisterBody),
)
async def register(request: Request, services: ServicesDep, caller: CallerDep) -> Success[OwnUser]:
    """Make an account; log in with it afterwards."""
    body, avatar = await read_body(request, RegisterBody)
    user = await services.accounts.register(body.account(), avatar, address=caller.address)
    return Success(status_code=201, message="Account made", data=OwnUser.of(user, is_online=False))


@router.get("/me", summary="Get the own profile", response_description="The profile")
async def get_own_profile(identity: CurrentUser, services: ServicesDep) -> Success[OwnUser]:
    """Return one's own profile."""
    user = await services.accounts.own(identity.user_id)
    return Success(data=OwnUser.of(user, is_online=await services.profiles.is_online(user.id)))


@router.patch(
    "/me",
    summary="Change the own profile",
    response_description="Profile changed",
    max_body_size=MAX_FORM_BYTES,
    responses=problem_responses(AccountTaken, *_AVATAR_REFUSED),
    openapi_extra=_json_or_form(ProfileBody),
)
async def change_own_profile(
    request: Request, identity: CurrentUser, services: ServicesDep
) -> Success[OwnUser]:
    """Change one's own profile; fields that are not sent stay as they are."""
    body, avatar = await read_body(request, ProfileBody)
    change = ProfileChange(**body.model_dump(by_alias=False), avatar=avatar)
    user = await services.accounts.change_profile(identity.user_id, change)
    is_online = await services.profiles.is_online(user.id)
    return Success(message="Profile changed", data=OwnUser.of(user, is_online=is_online))


@router.post(
    "/password",
    summary="Change the password",
    response_description="Password changed; all other sessions ended",
    responses=problem_responses(*_PASSWORD_REFUSED),
)
async def change_password(
    body: PasswordBody, identity: CurrentUser, services: ServicesDep, caller: CallerDep
) -> Success[None]:
    """Change one's own password and end all other sessions."""
    await services.accounts.change_password(
        identity.user_id,
        identity.session_id,
        current=body.current_password.get_secret_value(),
        new=body.new_password.get_secret_value(),
        address=caller.address,
    )
    return Success(message="Password changed; all other sessions ended", data=None)


@router.delete(
    "/me",
    summary="Delete the account",
    response_description="Account deleted",
    responses=problem_responses(*_PASSWORD_REFUSED),
)
async def delete_account(
    body: DeleteAccountBody,
    identity: CurrentUser,
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
) -> Success[None]:
    """Delete one's own account with everything that belongs to it."""
    await services.accounts.delete(
        identity.user_id, password=body.password.get_secret_value(), address=caller.address
    )
    clear_tokens(response, secure=services.secure_cookies)
    return Success(message="Account deleted", data=None)
