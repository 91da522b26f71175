"""The load generator as a child process: it gets commands by line and answers each with a line of JSON."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from chat_bench.errors import GeneratorFailed
from chat_bench.figures import Arrivals, Run
from chat_bench.native import LOADGEN

_PATIENCE_SECONDS = 60.0
"""How much longer than asked an answer may take."""
_RETRIES_SECONDS = 300.0
"""Who is refused and asked to come again does so up to 20 times."""
_LINE_BYTES = 1 << 20
_NICE = -10


@dataclass(frozen=True)
class Client:
    """One connection of the plan."""

    token: str
    room_ids: Sequence[str]
    is_stalled: bool = False
    """Whether it reads nothing once it has joined, and never sends."""


def plan_text(urls: Sequence[str], clients: Sequence[Client]) -> str:
    """Return a plan: the servers that connections are spread over, and the connections."""
    parts = [urlsplit(url) for url in urls]
    servers = [f"server {part.hostname} {part.port}" for part in parts]
    users = [
        " ".join(["user", client.token, *client.room_ids, *(["stalled"] if client.is_stalled else [])])
        for client in clients
    ]
    return "\n".join([*servers, *users, ""])


class Generator:
    """A running load generator; use it as an async context manager."""

    def __init__(self, folder: Path, urls: Sequence[str], clients: Sequence[Client]) -> None:
        """Args:
        folder: for its plan and its diagnostics.
        urls: the servers; connections are spread over them in turn.
        """
        self._folder = folder
        self._plan = plan_text(urls, clients)
        self._size = len(clients)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        plan = self._folder / "plan.txt"
        plan.write_text(self._plan)
        with (self._folder / "loadgen.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(LOADGEN), str(plan)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_BYTES,
            )
        with suppress(PermissionError):  # who measures must not wait behind who is measured
            os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def connect(self, rate: float = 0) -> Arrivals:
        """Open the connections that are not open and join their rooms.

        Args:
            rate: connections per second; 0: all at once.
        """
        seconds = self._size / rate if rate else 0
        return Arrivals.model_validate(await self._ask(f"connect {rate:g}", seconds + _RETRIES_SECONDS))

    async def run(self, rate: float, seconds: float, size: int, warmup: float) -> Run:
        """Send messages.

        Args:
            rate: messages per second, of all connections together.
            size: characters of a message.
            warmup: seconds before those that are measured.
        """
        answer = await self._ask(f"run {rate:.6g} {seconds:g} {size} {warmup:g}", seconds + warmup)
        return Run.model_validate(answer)

    async def record(self) -> None:
        """Keep what every connection does and sees from now on."""
        await self._ask("record", 0)

    async def write_history(self, path: Path) -> None:
        """Write what was kept; `bench/native/README.md` says how it reads.

        Args:
            path: an absolute one.
        """
        await self._ask(f"history {path}", 0)

    async def idle(self, seconds: float) -> int:
        """Say nothing; return how many connections are left."""
        return int((await self._ask(f"idle {seconds:g}", seconds))["connected"])

    async def close(self) -> None:
        """Close all connections."""
        await self._ask("close", 0)

    async def _ask(self, command: str, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{command}\n".encode())
            async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                line = await self._process.stdout.readline()
        except (OSError, TimeoutError) as error:
            raise GeneratorFailed(f"the load generator did not answer {command!r}: {error!r}") from error
        if not line:
            raise GeneratorFailed(f"the load generator ended at {command!r}; see {self._folder}/loadgen.log")
        answer: dict[str, Any] = orjson.loads(line)
        if "error" in answer:
            raise GeneratorFailed(f"{command!r}: {answer['error']}")
        return answer
