"""Routes for the other services, never routed from outside."""

from chat_shared.auth import require_service
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.internal import LastSeenReport, SessionsCheck, SessionsChecked
from fastapi import APIRouter, Depends

from chat_auth.api.routing import ServicesDep

router = APIRouter(prefix="/internal/v1", dependencies=[Depends(require_service)], include_in_schema=False)


@router.post("/sessions/check")
async def check_sessions(body: SessionsCheck, services: ServicesDep) -> SessionsChecked:
    """Say which of these sessions have ended or never were."""
    return SessionsChecked(ended=await services.sessions.ended_among(body.session_ids))


@router.post("/users/last-seen", status_code=204)
async def report_last_seen(body: LastSeenReport, services: ServicesDep) -> None:
    """Note when users were last online; only ever moves forward."""
    await services.profiles.note_last_seen({item.user_id: item.last_seen for item in body.users})


@router.get("/users/{user_id}", status_code=204)
async def require_user(user_id: EntityId, services: ServicesDep) -> None:
    """Say that there is such a user; 404 when there is not."""
    await services.profiles.require(user_id)
