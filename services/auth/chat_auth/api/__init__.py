"""HTTP in: parse, call the service, return."""

from chat_auth.api import accounts, internal, keys, sessions, users

ROUTERS = (accounts.router, sessions.router, users.router, keys.router, internal.router)

__all__ = ["ROUTERS"]
