"""HTTP in: parse, call the service, return."""

from chat_auth.api import accounts, administration, environment, internal, keys, sessions, users

ROUTERS = (
    accounts.router,
    sessions.router,
    users.router,
    keys.router,
    environment.router,
    internal.router,
    administration.router,
)

__all__ = ["ROUTERS"]
