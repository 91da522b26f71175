"""Where the installation is that a command is to work with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from chat_shared.http import SERVICE_TOKEN_HEADER

from chat_local.client.api import Api
from chat_local.client.errors import CommandFailed
from chat_local.ports import PortBook
from chat_local.state import StateFolder

DEFAULT_URL = "http://localhost:8080"
STATE_DIR = Path(".chat")
URL_SETTING, AUTH_SETTING, TOKEN_SETTING = "CHAT_URL", "CHAT_AUTH_URLS", "CHAT_SERVICE_TOKEN"

_AUTH = "auth-1"
_TOKEN_FILE = "chat_service_token"  # noqa: S105 - a file's name


def _checked_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise typer.BadParameter(f"{text} is not a URL such as {DEFAULT_URL}")
    return text.rstrip("/")


UrlOption = Annotated[
    str,
    typer.Option(
        envvar=URL_SETTING,
        callback=_checked_url,
        help=f"URL of the installation; else that of the local stack that runs, else {DEFAULT_URL}.",
    ),
]
StateOption = Annotated[Path, typer.Option(help="State folder of the local stack that is meant.")]


def installation_url(given: str, state_dir: Path) -> str:
    """Return the URL that was given, else that of the stack that runs on `state_dir`, else the usual one."""
    running = StateFolder(state_dir).url_file
    return given or (running.read_text() if running.exists() else DEFAULT_URL)


def auth_api(environ: Mapping[str, str], state_dir: Path) -> Api:
    """Return auth as the other services reach it: by the settings, else of the stack on `state_dir`.

    Raises:
        CommandFailed: there is no address or no service token.
    """
    secrets = Path(environ.get("CHAT_SECRETS_DIR") or state_dir / "secrets")
    token = environ.get(TOKEN_SETTING) or _token_in(secrets)
    if not token:
        raise CommandFailed(f"There is no service token: set {TOKEN_SETTING}, or --state-dir to a stack's.")
    return Api(_auth_url(environ, state_dir), {SERVICE_TOKEN_HEADER: token})


def _auth_url(environ: Mapping[str, str], state_dir: Path) -> str:
    given = environ.get(AUTH_SETTING, "").partition(",")[0].strip().removeprefix("dns+")
    if given:
        return given.rstrip("/")
    port = PortBook.remembered(StateFolder(state_dir).run / "ports.json", _AUTH)
    if port is None:
        raise CommandFailed(f"There is no stack in {state_dir}: set {AUTH_SETTING}, or --state-dir.")
    return f"http://127.0.0.1:{port}"


def _token_in(secrets: Path) -> str:
    file = secrets / _TOKEN_FILE
    return file.read_text().strip() if file.exists() else ""
