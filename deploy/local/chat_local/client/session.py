"""A session of a user, for as long as a command needs it."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chat_local.client.api import Answer, Api
from chat_local.client.errors import CommandFailed, Refused

# An access token that has less than this left is exchanged first.
_MARGIN_SECONDS = 60
_GOODBYE_SECONDS = 3


@dataclass
class Session:
    """One login; with a token from outside (`of_token`) there is nothing to refresh or to end."""

    api: Api
    access_token: str
    user: dict[str, Any]
    refresh_token: str = ""
    expires_in: int = 0
    expires_at: float = 0.0
    """Unix seconds."""

    async def token(self) -> str:
        """Return an access token that is good for a while.

        Raises:
            CommandFailed: the session has ended, or nothing answers.
        """
        if self.refresh_token and time.time() > self.expires_at - _MARGIN_SECONDS:
            answer = await self.api.call(
                "POST", "/api/v1/auth/refreshToken", body={"refreshToken": self.refresh_token}
            )
            self._take(answer.data)
        return self.access_token

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """Make a request as this user; options and failures as `Api.call`."""
        return await self.api.call(method, path, token=await self.token(), **options)

    async def end(self) -> None:
        """Log out; an installation that is away keeps the session until it expires."""
        if self.refresh_token:
            body = {"refreshToken": self.refresh_token}
            with suppress(CommandFailed, TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self.api.call("POST", "/api/v1/auth/logout", token=self.access_token, body=body)

    def _take(self, tokens: dict[str, Any]) -> None:
        self.access_token, self.refresh_token = tokens["accessToken"], tokens["refreshToken"]
        self.expires_in = tokens["expiresIn"]
        self.expires_at = time.time() + self.expires_in


async def log_in(api: Api, name: str, password: str) -> Session:
    """Begin a session by username or email address.

    Raises:
        Refused: `wrong_credentials`, or too many attempts.
        NothingThere, NotChat: see `Api.call`.
    """
    try:
        answer = await _ask(api, {"email" if "@" in name else "username": name, "password": password})
    except Refused as refused:
        # Usernames that were imported may look like an email address.
        if refused.code != "wrong_credentials" or "@" not in name:
            raise
        answer = await _ask(api, {"username": name, "password": password})
    session = Session(api, "", answer.data["user"])
    session._take(answer.data)
    return session


async def _ask(api: Api, body: dict[str, str]) -> Answer:
    return await api.call("POST", "/api/v1/auth/login", body=body)


def of_token(api: Api, access_token: str) -> Session:
    """Return the session of an access token that somebody else got."""
    return Session(api, access_token, {})
