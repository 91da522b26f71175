"""Where demo data may go: accounts whose password everybody can read have no place among real ones.

All of these have to hold, and the last one is the installation's own word:

- `CHAT_ENVIRONMENT` of the command is not `production`;
- the URL is one of this machine: a demo account is not put where others can log in with it;
- nobody listens on its port at an address that other machines reach: `make run BIND=0.0.0.0` has both;
- the installation says that it is a development one. One behind a tunnel has an address of this machine, too.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from chat_local.client.api import Api
from chat_local.client.errors import CommandFailed, NotChat, Refused
from chat_local.client.listeners import outward_listener

ENVIRONMENT_PATH = "/api/v1/auth/environment"
DEVELOPMENT, PRODUCTION = "development", "production"


class NoDemoHere(CommandFailed):
    """Demo data may not go there."""

    def __init__(self, why: str) -> None:
        super().__init__(f"No demo data there: {why}.")


async def require_demo_ground(api: Api, environ: Mapping[str, str]) -> None:
    """Return when demo data may go into the installation.

    Raises:
        NoDemoHere: it may not.
        NothingThere, NotChat: see `Api.call`.
    """
    if environ.get("CHAT_ENVIRONMENT") == PRODUCTION:
        raise NoDemoHere("CHAT_ENVIRONMENT is production")
    if not is_of_this_machine(api.url):
        raise NoDemoHere(f"{api.url} is not on this machine")
    if listener := outward_listener(_port_of(api.url)):
        raise NoDemoHere(f"other machines reach {api.url}: it listens on {listener}, too")
    try:
        environment = await environment_of(api)
    except Refused as refused:
        raise NoDemoHere(f"{api.url} does not say that it is for development") from refused
    if environment != DEVELOPMENT:
        raise NoDemoHere(f"{api.url} says that it is a {environment} installation")


async def environment_of(api: Api) -> str:
    """Return what kind of installation it says it is: `development` or `production`.

    Raises:
        Refused, NothingThere, NotChat: see `Api.call`.
    """
    answer = await api.call("GET", ENVIRONMENT_PATH)
    environment = answer.data.get("environment") if isinstance(answer.data, dict) else None
    if environment not in (DEVELOPMENT, PRODUCTION):
        raise NotChat(api.url, answer.status)
    return str(environment)


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_of_this_machine(url: str) -> bool:
    """Tell whether a URL leads to this machine, whatever name servers say."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
