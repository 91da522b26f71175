"""What all routes of auth share: paths with a slash at the end, the services, where a call comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from chat_shared.rate_limits import address_key
from fastapi import APIRouter, Depends, Request

from chat_auth.service.accounts import Accounts
from chat_auth.service.administration import Administration
from chat_auth.service.profiles import Profiles
from chat_auth.service.sessions import Caller, Sessions
from chat_auth.service.signing_keys import KeyRing


class SlashTolerantRouter(APIRouter):
    """Answers at each path with and without a slash at the end; clients of the original use both."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add the route at `path`, and undocumented at `path/`."""
        super().add_api_route(path, endpoint, **options)
        super().add_api_route(path + "/", endpoint, **{**options, "include_in_schema": False})


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases, as `main` wired them; `app.state.services`."""

    accounts: Accounts
    sessions: Sessions
    profiles: Profiles
    administration: Administration
    keys: KeyRing
    environment: Literal["development", "production"]
    secure_cookies: bool
    origins: frozenset[str]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _caller(request: Request) -> Caller:
    host = request.client.host if request.client else ""
    return Caller(address_key(host), request.headers.get("user-agent", ""))


ServicesDep = Annotated[Services, Depends(_services)]
CallerDep = Annotated[Caller, Depends(_caller)]
