"""What Traefik is told: which public paths exist, and which service answers each.

The paths are an allow-list. Whatever is not named here, above all `/internal`, `/metrics` and the probes
of the services, has no way in.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]

MAX_JSON_BYTES = 1_000_000
STICKY_COOKIE = "chat_gateway"

# Long enough for a 12 MB upload over a slow line; long polling and WebSockets are not bound by it.
_READ_SECONDS = 300
# Below the 5 s after which the services close idle connections: else a request can meet a closing one.
_IDLE_UPSTREAM_SECONDS = 4
_JSON_BODY = "json-body"


@dataclass(frozen=True)
class Route:
    """A set of public paths and the service behind them. The highest priority wins."""

    name: str
    rule: str
    service: str
    priority: int
    bounded: bool = True
    """Whether bodies are limited here; where they stream (files, sockets) the service limits them."""


ROUTES = (
    Route("room-messages", r"PathRegexp(`^/api/v1/room/[^/]+/messages/?$`)", "messaging", 300),
    Route("avatars", r"PathRegexp(`^/api/v1/auth/(register|me)/?$`)", "auth", 300, bounded=False),
    Route("auth", r"PathRegexp(`^/api/v1/(auth|users)(/|$)`) || Path(`/.well-known/jwks.json`)", "auth", 200),
    Route("rooms", r"PathRegexp(`^/api/v1/room(/|$)`)", "rooms", 200),
    Route("media", r"PathRegexp(`^/(api/v1/upload|api/v1/media|media)(/|$)`)", "media", 200, bounded=False),
    Route("sockets", r"PathRegexp(`^/socket\.io(/|$)`)", "gateway-ws", 200, bounded=False),
    Route(
        "pages", r"Path(`/`) || Path(`/favicon.ico`) || PathRegexp(`^/(assets|docs)(/|$)`)", "gateway-ws", 200
    ),
    Route("unknown-api", r"PathPrefix(`/api/`)", "gateway-ws", 100),
)


def dynamic_config(instances: Mapping[str, Sequence[str]]) -> Config:
    """Return routers and services.

    Args:
        instances: the base URLs of every service's processes.
    """
    return {
        "http": {
            "routers": {route.name: _router(route) for route in ROUTES},
            "services": {name: {"loadBalancer": _balancer(name, urls)} for name, urls in instances.items()},
            "middlewares": {_JSON_BODY: {"buffering": _buffering()}},
        }
    }


def _router(route: Route) -> Config:
    middlewares = {"middlewares": [_JSON_BODY]} if route.bounded else {}
    return {"rule": route.rule, "priority": route.priority, "service": route.service, **middlewares}


def _buffering() -> Config:
    """Return a body limit that never writes bodies to disk: they hold passwords and messages."""
    return {
        "maxRequestBodyBytes": MAX_JSON_BYTES,
        "memRequestBodyBytes": MAX_JSON_BYTES,
        "memResponseBodyBytes": 64_000_000,
    }


def _balancer(service: str, urls: Sequence[str]) -> Config:
    config: Config = {
        "servers": [{"url": url} for url in urls],
        # Asks whether the process lives and stays, not for its dependencies: with MongoDB or Redis away all
        # instances would leave at once, and clients would meet a bare 503 instead of the service's answer.
        "healthCheck": {"path": "/routez", "interval": "1s", "unhealthyInterval": "500ms", "timeout": "2s"},
    }
    if service == "gateway-ws":
        # The requests of one long-polling session have to meet one process.
        cookie = {"name": STICKY_COOKIE, "httpOnly": True, "sameSite": "lax", "path": "/socket.io"}
        config["sticky"] = {"cookie": cookie}
    return config


def static_config(addresses: Sequence[str], ping_address: str, dynamic_file: str) -> Config:
    """Return entry points and everything else that holds for the life of the process.

    Args:
        addresses: `host:port` to listen on for clients.
        ping_address: `host:port` of the probe, for this machine only.
        dynamic_file: path of the routers and services.
    """
    public = {f"web{number}": _entry_point(address) for number, address in enumerate(addresses)}
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        # There is no access log: query strings carry tokens of clients that cannot send headers.
        "log": {"level": "INFO", "format": "json"},
        "entryPoints": {**public, "probe": {"address": ping_address}},
        "ping": {"entryPoint": "probe"},
        "providers": {"file": {"filename": dynamic_file, "watch": False}},
        "serversTransport": {
            "forwardingTimeouts": {"dialTimeout": "2s", "idleConnTimeout": f"{_IDLE_UPSTREAM_SECONDS}s"}
        },
    }


def _entry_point(address: str) -> Config:
    encoded = ("Slash", "Backslash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash")
    return {
        "address": address,
        "asDefault": True,
        # Nobody in front is trusted: X-Forwarded-* of clients are replaced by Traefik's own.
        "forwardedHeaders": {"insecure": False},
        "http": {
            "aliasHeadersStrategy": "delete",
            "encodedCharacters": {f"allowEncoded{name}": False for name in encoded},
            "maxHeaderBytes": 32_768,
            "sanitizePath": True,
        },
        "transport": {
            "respondingTimeouts": {"readTimeout": f"{_READ_SECONDS}s", "idleTimeout": "180s"},
            "lifeCycle": {"graceTimeOut": "3s"},
        },
    }


def join(host: str, port: int) -> str:
    """Return `host:port`, with the brackets that IPv6 needs."""
    version = ipaddress.ip_address(host).version
    return f"[{host}]:{port}" if version == 6 else f"{host}:{port}"
