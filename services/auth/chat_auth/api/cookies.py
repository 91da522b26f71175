"""The cookies of the original: `accessToken` for every path, `refreshToken` only where it is needed."""

from chat_shared.auth import ACCESS_COOKIE
from fastapi import Response

from chat_auth.service.tokens import TokenPair

REFRESH_COOKIE = "refreshToken"
ACCESS_PATH = "/"
REFRESH_PATH = "/api/v1/auth"
NO_STORE = "no-store"


def set_tokens(response: Response, tokens: TokenPair, *, secure: bool) -> None:
    """Give the browser both tokens, out of reach of scripts and of other sites."""
    _set(response, ACCESS_COOKIE, tokens.access_token, tokens.access_seconds, ACCESS_PATH, secure)
    _set(response, REFRESH_COOKIE, tokens.refresh_token, tokens.refresh_seconds, REFRESH_PATH, secure)
    response.headers["cache-control"] = NO_STORE


def clear_tokens(response: Response, *, secure: bool) -> None:
    """Take both tokens from the browser."""
    for name, path in ((ACCESS_COOKIE, ACCESS_PATH), (REFRESH_COOKIE, REFRESH_PATH)):
        _set(response, name, "", 0, path, secure)


def _set(response: Response, name: str, value: str, seconds: int, path: str, secure: bool) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path=path, secure=secure, httponly=True, samesite="strict"
    )
