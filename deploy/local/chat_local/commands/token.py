"""`chat token`: an access token for curl and scripts."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from chat_local.client.api import Api
from chat_local.client.passwords import read_password
from chat_local.client.session import Session, log_in
from chat_local.client.where import STATE_DIR, StateOption, UrlOption, installation_url
from chat_local.commands.running import run
from chat_local.console import say


def token(
    name: Annotated[str, typer.Argument(help="Username or email address.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print whose it is and its end, too.")] = False,
    url: UrlOption = "",
    state_dir: StateOption = STATE_DIR,
) -> None:
    """Log in and print an access token.

    It is good for 15 minutes unless set otherwise. The password is asked for, or is the first line of
    standard input.

    \b
    Example:
      TOKEN=$(chat token alice)
      curl -H "authorization: Bearer $TOKEN" http://localhost:8080/api/v1/room
    """
    session = run(_log_in(installation_url(url, state_dir), name))
    say(_as_json(session) if as_json else session.access_token)


async def _log_in(url: str, name: str) -> Session:
    async with Api(url) as api:
        return await log_in(api, name, read_password(f"Password of {name}"))


def _as_json(session: Session) -> str:
    ends = datetime.fromtimestamp(session.expires_at, UTC).isoformat(timespec="seconds")
    return json.dumps(
        {
            "accessToken": session.access_token,
            "expiresIn": session.expires_in,
            "expiresAt": ends,
            "userId": session.user["id"],
            "username": session.user["username"],
        }
    )
