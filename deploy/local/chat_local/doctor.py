"""The checks of `chat doctor`. Each says what it found; a failed one says how to mend it."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chat_local import debian
from chat_local.client.api import Api
from chat_local.client.demo_ground import environment_of
from chat_local.client.errors import CommandFailed
from chat_local.errors import LocalStackError, ProgramMissing
from chat_local.ports import is_free
from chat_local.programs import mongod, rabbitmq, redis, traefik
from chat_local.programs.finding import Program

_OLDEST_PYTHON = (3, 11)
_DISK_GIB = 2
_ANSWER_SECONDS = 5
_GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    ok: bool
    detail: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{'ok     ' if self.ok else 'MISSING'}  {self.subject:<11} {self.detail}"
        return line if self.ok else f"{line}\n         {'':<11} mend it: {self.mend}"


def examine(environ: Mapping[str, str], port: int, state_dir: Path) -> list[Finding]:
    """Return the findings of all checks; starts nothing."""
    return [
        _python(),
        _system(),
        _server("MongoDB", mongod.URL_SETTING, environ, mongod.find),
        _server("Redis", redis.URL_SETTING, environ, redis.find),
        _server("RabbitMQ", rabbitmq.URL_SETTING, environ, rabbitmq.look),
        _server("Traefik", "", environ, traefik.find),
        _node(),
        _port(port),
        _disk(state_dir),
    ]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    mend = "sudo apt-get install python3.11 python3.11-venv"
    return Finding("Python", sys.version_info >= _OLDEST_PYTHON, f"{version} ({sys.executable})", mend)


def _system() -> Finding:
    system = os.uname()
    detail = f"{system.sysname} on {system.machine}"
    return Finding("System", system.sysname == "Linux", detail, "run it on Linux, or with docker compose")


def _server(
    title: str, setting: str, environ: Mapping[str, str], find: Callable[[], Program | None]
) -> Finding:
    if environ.get(setting):
        return Finding(title, True, f"the server of {setting}")
    try:
        program = find()
    except ProgramMissing as missing:
        return Finding(title, False, missing.reason, missing.mend)
    except LocalStackError as error:
        return Finding(title, False, str(error), f"set {setting} to a server of yours")
    if program is not None:
        return Finding(title, True, f"{program.version} at {program.path} ({program.origin})")
    return _from_debian_later(title)


def _from_debian_later(title: str) -> Finding:
    if debian.is_available():
        return Finding(title, True, f"comes from Debian at first start, into {debian.cache_folder()}")
    return Finding(title, False, "not on PATH, and no apt-get to fetch it with", rabbitmq.MEND)


def _node() -> Finding:
    path = shutil.which("node")
    return Finding("Node", True, f"{path} (for tests only)" if path else "none; only the tests want it")


def _port(port: int) -> Finding:
    if is_free(port):
        return Finding("Port", True, f"{port} is free")
    if asyncio.run(_is_chat(f"http://127.0.0.1:{port}")):
        return Finding("Port", True, f"{port} is in use: chat runs there")
    return Finding("Port", False, f"{port} is in use", f"PORT={port + 1} make run")


async def _is_chat(url: str) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS), Api(url) as api:
            await environment_of(api)
    except (CommandFailed, TimeoutError):
        return False
    return True


def _disk(state_dir: Path) -> Finding:
    folder = next(place for place in (state_dir.resolve(), *state_dir.resolve().parents) if place.exists())
    free = shutil.disk_usage(folder).free / _GIB
    return Finding("Disk", free >= _DISK_GIB, f"{free:.0f} GiB free in {folder}", "make room, or --state-dir")
