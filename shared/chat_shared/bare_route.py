"""A route of which the framework does nothing but find it: for the one that each message goes through."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope


class _BareRoute(Route):
    """Named in logs and metrics like the framework's own routes."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        if match is not Match.NONE:
            found["route"] = self
        return match, found


def add_bare_route(
    app: FastAPI, method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]
) -> None:
    """Serve `path` without dependencies, validation and OpenAPI: `endpoint` does what it needs of them.

    FastAPI's way to a handler costs about 130 us, as much as all of a small request otherwise.
    Errors, the request's context and the bound of its body are those of all routes.
    """
    app.router.routes.append(_BareRoute(path, endpoint, methods=[method], include_in_schema=False))
