"""The five services and what each process of theirs is told through its environment."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chat_local.probes import http_status
from chat_local.process import ProcessSpec

MODULES = {
    "auth": "chat_auth",
    "rooms": "chat_rooms",
    "messaging": "chat_messaging",
    "media": "chat_media",
    "gateway-ws": "chat_gateway_ws",
}
# The services that others call; the gateway only calls.
_CALLED = ("auth", "rooms", "messaging", "media")
_DRAIN_SETTINGS = ("CHAT_DRAIN_WAIT_SECONDS", "CHAT_DRAIN_SECONDS")
_OK = 200


@dataclass(frozen=True)
class Addresses:
    """Everything a service process may want to reach."""

    public: str
    mongo: str
    redis: str
    amqp: str
    secrets: Path
    instances: Mapping[str, Sequence[str]]
    """The base URLs of every service's processes."""

    def settings(self) -> dict[str, str]:
        """Return them as settings."""
        urls = {f"CHAT_{name.upper()}_URLS": ",".join(self.instances[name]) for name in _CALLED}
        return urls | {
            "CHAT_PUBLIC_URL": self.public,
            "CHAT_MONGO_URL": self.mongo,
            "CHAT_REDIS_URL": self.redis,
            "CHAT_AMQP_URL": self.amqp,
            "CHAT_SECRETS_DIR": str(self.secrets),
        }


def service_of(instance: str) -> str:
    """Return the service of an instance name: `gateway-ws` of `gateway-ws-2`."""
    return instance.rpartition("-")[0]


def spec(
    instance: str, port: int, addresses: Addresses, environ: Mapping[str, str], extra: Mapping[str, str]
) -> ProcessSpec:
    """Return how to run one process of a service.

    Args:
        environ: passed on, as far as the stack does not say otherwise.
        extra: settings of this process, over everything else.
    """
    url = f"http://127.0.0.1:{port}"
    env = {
        **environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # the state folder is the working directory, not a place of modules
        "CHAT_ENVIRONMENT": "development",
        "CHAT_INSTANCE": instance,
        "CHAT_HOST": "127.0.0.1",
        "CHAT_PORT": str(port),
        **addresses.settings(),
        **extra,
    }
    argv = [sys.executable, "-m", MODULES[service_of(instance)]]
    return ProcessSpec(
        instance,
        argv,
        env,
        partial(_is_ready, url),
        url=url,
        stop_seconds=20,
        stop_settings=_DRAIN_SETTINGS,
    )


async def _is_ready(url: str) -> bool:
    return await http_status(f"{url}/readyz") == _OK
