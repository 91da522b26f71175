"""FastAPI dependencies that say who is calling: a user, perhaps nobody, or another service."""

import hmac
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as HTTPBearerModel
from fastapi.security.base import SecurityBase

from chat_shared.errors import Forbidden, Unauthenticated
from chat_shared.http import SERVICE_TOKEN_HEADER, ServiceClient
from chat_shared.sessions import SessionGuard
from chat_shared.settings import ServiceSettings
from chat_shared.tokens import Identity, KeySet, TokenVerifier

if TYPE_CHECKING:
    from redis.asyncio import Redis

ACCESS_COOKIE = "accessToken"
BEARER, COOKIE = "bearer", "cookie"
"""The names of both ways to send an access token in OpenAPI documents."""
#: What a route that asks its authenticator itself says in the document.
TOKEN_SECURITY: list[dict[str, list[str]]] = [{BEARER: []}, {COOKIE: []}]
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class OriginRefused(Forbidden):
    code = "origin_refused"
    message = "A cookie is only accepted from this site's own pages"


class Authenticator:
    """Finds the access token of a request, checks it and the session behind it."""

    def __init__(self, verifier: TokenVerifier, sessions: SessionGuard, origins: frozenset[str]) -> None:
        """`origins`: where a state-changing call that relies on a cookie may come from."""
        self._verifier = verifier
        self._sessions = sessions
        self._origins = origins

    async def identify(self, request: Request) -> Identity | None:
        """Return who is calling, or None when the request carries no token.

        Raises:
            Unauthenticated: for a token that is not valid (any more).
            OriginRefused: for a state-changing call with a cookie from another site (CSRF).
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.cookies.get(ACCESS_COOKIE, "")
            if token:
                check_origin(request, self._origins)
        if not token:
            return None
        identity = await self._verifier.verify(token.strip())
        await self._sessions.require_live(identity.session_id)
        return identity


def create_authenticator(settings: ServiceSettings, auth: ServiceClient, redis: "Redis") -> Authenticator:
    """Wire the token check of a service that is not auth itself; put it into `app.state.authenticator`."""

    async def fetch_keys() -> bytes:
        return await auth.request("GET", "/.well-known/jwks.json", timeout=2)

    verifier = TokenVerifier(
        KeySet(fetch_keys), issuer=settings.token_issuer, audience=settings.token_audience
    )
    return Authenticator(verifier, SessionGuard(redis, auth), settings.origins)


def check_origin(request: Request, origins: frozenset[str]) -> None:
    """Refuse a state-changing call that relies on a cookie unless its Origin is one of ours.

    A client without a browser sends no Origin and no `Sec-Fetch-Site`; it is not what CSRF abuses.

    Raises:
        OriginRefused: for any other origin.
    """
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    if origin is None and request.headers.get("sec-fetch-site") in (None, "same-origin", "none"):
        return
    if origin not in origins:
        raise OriginRefused


class _CallersToken(SecurityBase):
    """Who is calling, by their access token. As a security scheme it stands in the OpenAPI document, too.

    One scheme is all that a dependency can be; `openapi.py` puts the cookie beside it.
    """

    def __init__(self) -> None:
        self.model = HTTPBearerModel(bearerFormat="JWT", description="The access token of a login")
        self.scheme_name = BEARER

    async def __call__(self, request: Request) -> Identity | None:
        authenticator: Authenticator = request.app.state.authenticator
        return await authenticator.identify(request)


_callers_token = _CallersToken()


async def _current_user(identity: Annotated[Identity | None, Depends(_callers_token)]) -> Identity:
    if identity is None:
        raise Unauthenticated
    return identity


async def require_service(request: Request) -> None:
    """Let only callers with the service token in: the dependency of every `/internal` router."""
    expected: str = request.app.state.service_token
    if not hmac.compare_digest(request.headers.get(SERVICE_TOKEN_HEADER, "").encode(), expected.encode()):
        raise Unauthenticated("A service token is needed")


#: The signed-in user; 401 for everybody else.
CurrentUser = Annotated[Identity, Depends(_current_user)]
#: The signed-in user, or None for somebody without a token.
OptionalUser = Annotated[Identity | None, Depends(_callers_token)]
