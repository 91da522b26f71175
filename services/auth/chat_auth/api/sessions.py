"""Routes of sessions: logging in and out, refreshing, seeing and ending one's sessions."""

from typing import Annotated, Any

from chat_shared.auth import TOKEN_SECURITY, Authenticator, CurrentUser, OriginRefused, check_origin
from chat_shared.contracts.base import EntityId
from chat_shared.contracts.envelope import Success
from chat_shared.errors import RateLimited, Unauthenticated
from chat_shared.openapi import problem_responses
from fastapi import Depends, Path, Request, Response
from fastapi.security import APIKeyCookie, APIKeyHeader

from chat_auth.api.cookies import REFRESH_COOKIE, clear_tokens, set_tokens
from chat_auth.api.routing import CallerDep, ServicesDep, SlashTolerantRouter
from chat_auth.errors import HashingBusy, InvalidRefreshToken, SessionNotFound, WrongCredentials
from chat_auth.schemas import MAX_TOKEN_LENGTH, LoggedIn, LoginBody, OwnUser, RefreshBody, SessionItem, Tokens
from chat_auth.service.sessions import Login

REFRESH_HEADER = "x-refresh-token"

router = SlashTolerantRouter(prefix="/api/v1/auth", tags=["session"])

# They say in the OpenAPI document where a refresh token may be; `_refresh_token` reads it.
_REFRESH_SCHEMES = (
    Depends(
        APIKeyCookie(
            name=REFRESH_COOKIE,
            scheme_name="refreshCookie",
            description="The refresh token, for browsers",
            auto_error=False,
        )
    ),
    Depends(
        APIKeyHeader(
            name=REFRESH_HEADER,
            scheme_name="refreshHeader",
            description="The refresh token; it may be in the body too",
            auto_error=False,
        )
    ),
)
_OR_IN_THE_BODY: dict[str, Any] = {"security": [{}]}


def _refuse_foreign_cookie(request: Request, services: ServicesDep) -> None:
    """Refuse a call that can only work by a cookie and that another site made the browser send.

    Before the body is looked at, so that such a call learns nothing.
    """
    if REFRESH_COOKIE in request.cookies and REFRESH_HEADER not in request.headers:
        check_origin(request, services.origins)


def _refresh_token(request: Request, body: RefreshBody | None = None) -> str | None:
    """Return the refresh token of a request: from the body, the header or the cookie."""
    in_body = body.refresh_token if body else None
    token = in_body or request.headers.get(REFRESH_HEADER) or request.cookies.get(REFRESH_COOKIE)
    return token if token and len(token) <= MAX_TOKEN_LENGTH else None


RefreshTokenDep = Annotated[str | None, Depends(_refresh_token)]


@router.post(
    "/login",
    summary="Log in",
    response_description="Logged in",
    responses=problem_responses(WrongCredentials, RateLimited, HashingBusy),
)
async def log_in(
    body: LoginBody, services: ServicesDep, caller: CallerDep, response: Response
) -> Success[LoggedIn]:
    """Log in by username or email; the tokens come in the body and as httpOnly cookies."""
    login = Login(body.username, body.email, body.password.get_secret_value())
    user, tokens = await services.sessions.log_in(login, caller)
    set_tokens(response, tokens, secure=services.secure_cookies)
    own = OwnUser.of(user, is_online=await services.profiles.is_online(user.id))
    return Success(
        message="Logged in", data=LoggedIn(**Tokens.of(tokens).model_dump(by_alias=False), user=own)
    )


@router.post(
    "/refreshToken",
    summary="Refresh the tokens",
    response_description="Tokens refreshed",
    dependencies=[Depends(_refuse_foreign_cookie), *_REFRESH_SCHEMES],
    openapi_extra=_OR_IN_THE_BODY,
    responses=problem_responses(InvalidRefreshToken, OriginRefused),
)
async def refresh_tokens(
    token: RefreshTokenDep, services: ServicesDep, response: Response
) -> Success[Tokens]:
    """Exchange the refresh token (cookie, `x-refresh-token` or body) for its successor; it works once."""
    if token is None:
        raise InvalidRefreshToken
    tokens = await services.sessions.refresh(token)
    set_tokens(response, tokens, secure=services.secure_cookies)
    return Success(message="Tokens refreshed", data=Tokens.of(tokens))


@router.post(
    "/logout",
    summary="Log out",
    response_description="Logged out",
    dependencies=[Depends(_refuse_foreign_cookie), *_REFRESH_SCHEMES],
    openapi_extra={"security": [*TOKEN_SECURITY, {}]},
)
async def log_out(
    request: Request, token: RefreshTokenDep, services: ServicesDep, response: Response
) -> Success[None]:
    """End this session: by the access token, or by the refresh token once the former is over."""
    authenticator: Authenticator = request.app.state.authenticator
    try:
        identity = await authenticator.identify(request)
    except Unauthenticated:
        identity = None
    if identity is not None:
        await services.sessions.log_out(identity.user_id, identity.session_id)
    elif token is not None:
        await services.sessions.log_out_by_token(token)
    else:
        raise Unauthenticated
    clear_tokens(response, secure=services.secure_cookies)
    return Success(message="Logged out", data=None)


@router.get("/sessions", summary="List the own sessions", response_description="The sessions")
async def list_sessions(identity: CurrentUser, services: ServicesDep) -> Success[list[SessionItem]]:
    """List where one is logged in, the last used session first, 100 at most."""
    sessions = await services.sessions.list_own(identity.user_id)
    return Success(data=[SessionItem.of(session, current_id=identity.session_id) for session in sessions])


@router.delete(
    "/sessions/{session_id}",
    summary="End a session",
    response_description="Session ended",
    responses=problem_responses(SessionNotFound),
)
async def revoke_session(
    session_id: Annotated[EntityId, Path(description="From the list of sessions")],
    identity: CurrentUser,
    services: ServicesDep,
) -> Success[None]:
    """End one of one's sessions, such as that of a lost phone."""
    await services.sessions.revoke(identity.user_id, session_id)
    return Success(message="Session ended", data=None)
