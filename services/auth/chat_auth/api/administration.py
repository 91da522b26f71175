"""Routes for operators: `chat user` calls them with the service token; they have no way in from outside."""

from typing import Annotated

from chat_shared.auth import require_service
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import AccountDetails, AccountItem, AccountPage, SessionsEnded
from fastapi import APIRouter, Depends, Query

from chat_auth.api.routing import ServicesDep
from chat_auth.domain.accounts import MAX_EMAIL_LENGTH, User
from chat_auth.schemas import PasswordResetBody, RegisterBody

MAX_PAGE = 100

router = APIRouter(
    prefix="/internal/v1/accounts", dependencies=[Depends(require_service)], include_in_schema=False
)


@router.get("")
async def list_accounts(
    services: ServicesDep,
    after: EntityId | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> AccountPage:
    """List accounts in the order in which they were made."""
    users = await services.administration.page(after, limit)
    online = await services.profiles.online_among([user.id for user in users])
    items = [AccountItem(**_fields(user), is_online=user.id in online) for user in users]
    return AccountPage(accounts=items, next=users[-1].id if len(users) == limit else None)


@router.post("", status_code=201)
async def create_account(body: RegisterBody, services: ServicesDep) -> AccountItem:
    """Make an account."""
    return AccountItem(**_fields(await services.administration.create(body.account())), is_online=False)


@router.get("/find")
async def find_account(
    services: ServicesDep, name: Annotated[str, Query(min_length=1, max_length=MAX_EMAIL_LENGTH)]
) -> AccountDetails:
    """Return one account by username, email address or id."""
    user, sessions = await services.administration.find(name)
    is_online = await services.profiles.is_online(user.id)
    return AccountDetails(**_fields(user), is_online=is_online, session_count=sessions)


@router.post("/{user_id}/sign-out")
async def sign_out(user_id: EntityId, services: ServicesDep) -> SessionsEnded:
    """End all sessions of a user."""
    return SessionsEnded(ended=await services.administration.sign_out(user_id))


@router.put("/{user_id}/password")
async def set_password(user_id: EntityId, body: PasswordResetBody, services: ServicesDep) -> SessionsEnded:
    """Give an account a new password and end all its sessions."""
    new = body.new_password.get_secret_value()
    return SessionsEnded(ended=await services.administration.set_password(user_id, new))


@router.delete("/{user_id}", status_code=204)
async def delete_account(user_id: EntityId, services: ServicesDep) -> None:
    """Delete an account with everything that belongs to it."""
    await services.administration.delete(user_id)


def _fields(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "created_at": user.created_at,
        "last_seen": user.last_seen,
    }
