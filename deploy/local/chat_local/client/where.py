"""Where the installation is that a command is to work with.

Addresses and secrets are of one source: the settings, or the stack that runs on a state folder. A secret of
that stack is not shown to who answers at an address of the settings.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from chat_shared.http import SERVICE_TOKEN_HEADER

from chat_local.client.api import Api
from chat_local.client.errors import CommandFailed
from chat_local.ports import PortBook
from chat_local.programs import rabbitmq
from chat_local.state import StateFolder

DEFAULT_URL = "http://localhost:8080"
STATE_DIR = Path(".chat")
URL_SETTING, AUTH_SETTING, TOKEN_SETTING = "CHAT_URL", "CHAT_AUTH_URLS", "CHAT_SERVICE_TOKEN"
SECRETS_SETTING = "CHAT_SECRETS_DIR"
BROKER_SETTINGS = ("CHAT_AMQP_URL", "RABBITMQ_URL", "AMQP_URL")

_AUTH = "auth-1"
_TOKEN_FILE = "chat_service_token"  # noqa: S105 - a file's name


def _checked_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if text and not is_url:
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
StateOption = Annotated[
    Path,
    typer.Option(help="State folder of the local stack that is meant; an address in a setting wins over it."),
]


def installation_url(given: str, state_dir: Path) -> str:
    """Return the URL that was given, else that of the stack that runs on `state_dir`, else the usual one."""
    return given or StateFolder(state_dir).running_url() or DEFAULT_URL


def auth_api(environ: Mapping[str, str], state_dir: Path) -> Api:
    """Return auth as the other services reach it: by the settings, else of the stack that runs.

    Raises:
        CommandFailed: there is no address or no service token.
    """
    given = environ.get(AUTH_SETTING, "").partition(",")[0].strip().removeprefix("dns+")
    if given:
        url = given.rstrip("/")
        secrets = Path(environ[SECRETS_SETTING]) if environ.get(SECRETS_SETTING) else None
    else:
        url = f"http://127.0.0.1:{_running_port(state_dir, _AUTH, AUTH_SETTING)}"
        secrets = StateFolder(state_dir).secrets
    # A stack is started with the same settings, and its services take a token that is set, too.
    token = environ.get(TOKEN_SETTING) or _token_in(secrets)
    if not token:
        raise CommandFailed(f"There is no service token for {url}: set {TOKEN_SETTING} or {SECRETS_SETTING}.")
    return Api(url, {SERVICE_TOKEN_HEADER: token})


def broker_url(environ: Mapping[str, str], state_dir: Path) -> str:
    """Return the URL of RabbitMQ: by the settings, else of the stack that runs on `state_dir`.

    Raises:
        CommandFailed: there is none.
    """
    given = next((environ[name] for name in BROKER_SETTINGS if environ.get(name)), None)
    return given or rabbitmq.url(_running_port(state_dir, rabbitmq.NAME, BROKER_SETTINGS[0]))


def _running_port(state_dir: Path, name: str, setting: str) -> int:
    """Return the port of a process of the stack that runs; when none does, somebody else may have it now."""
    state = StateFolder(state_dir)
    is_running = state.pid_file_of(name).exists() and state.is_held()
    port = PortBook.remembered(state.ports_file, name) if is_running else None
    if port is None:
        raise CommandFailed(f"No {name} of a stack runs on {state_dir}: set {setting}, or --state-dir.")
    return port


def _token_in(secrets: Path | None) -> str:
    file = secrets / _TOKEN_FILE if secrets else None
    return file.read_text().strip() if file and file.exists() else ""
