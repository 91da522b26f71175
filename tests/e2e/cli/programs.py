"""`chat` as a process: at a pipe, until it is interrupted, or at a terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from chat_shared.testing import ApiClient, User, eventually
from chat_shared.testing.surroundings import bare_environ, bare_folder

if TYPE_CHECKING:
    from chat_local.stack import Stack

SECONDS = 60


@dataclass
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def done(self) -> str:
        """Return what it printed, after a look that it worked."""
        assert self.code == 0, self
        return self.out.strip()

    def failed(self) -> str:
        """Return its one line about why it failed."""
        assert (self.code, len(self.err.splitlines())) == (1, 1), self
        return self.err.strip()


class Running:
    """A command that goes on until it is interrupted."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self.notes: list[str] = []
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self.lines)),
            asyncio.create_task(self._read(process.stderr, self.notes)),
        ]

    async def _read(self, stream: asyncio.StreamReader | None, lines: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            lines.append(line.decode().rstrip())

    async def shows(self, text: str, timeout: float = 20) -> None:
        await eventually(lambda: any(text in line for line in self.lines), timeout, f"{text} in {self.lines}")

    async def notes_that(self, text: str, timeout: float = 20) -> None:
        await eventually(lambda: any(text in line for line in self.notes), timeout, f"{text} in {self.notes}")

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def end(self) -> int:
        """Press Ctrl-C, if it still runs, and return the exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        """Return the exit code once it has ended by itself."""
        code = await asyncio.wait_for(self._process.wait(), SECONDS)
        await asyncio.gather(*self._readers)
        return code


class Chat:
    """Runs commands against one installation."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def start(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", *arguments),
            env=bare_environ(**{"CHAT_URL": self._url, **environ}),
            cwd=bare_folder(),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )

    async def run(self, *arguments: str, typed: str = "", **environ: str) -> Outcome:
        process = await self.start(*arguments, **environ)
        out, err = await asyncio.wait_for(process.communicate(typed.encode()), SECONDS)
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str, **environ: str) -> AsyncIterator[Running]:
        running = Running(await self.start(*arguments, **environ))
        try:
            yield running
        finally:
            await running.end()


class Terminal:
    """A command at a terminal of its own: what a person sees, and what they type."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self._arguments = arguments
        self._environ = environ
        self.screen = ""

    async def __aenter__(self) -> Self:
        self._master, slave = os.openpty()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", *self._arguments),
            env=bare_environ(**self._environ),
            cwd=bare_folder(),
            preexec_fn=lambda: os.login_tty(slave),
        )
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        try:
            self.screen += os.read(self._master, 65_536).decode()
        except OSError:  # nobody has the other side any more
            asyncio.get_running_loop().remove_reader(self._master)

    async def shows(self, text: str) -> None:
        await eventually(lambda: text in self.screen, 20, f"{text} on {self.screen}")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def ended(self) -> int:
        return await asyncio.wait_for(self._process.wait(), SECONDS)


@asynccontextmanager
async def no_gateways(stack: "Stack") -> AsyncIterator[None]:
    gateways = stack.instances("gateway-ws")
    for gateway in gateways:
        gateway.auto_restart = False
        gateway.kill()
        await gateway.wait_exit()
    try:
        yield
    finally:
        for gateway in gateways:
            gateway.auto_restart = True
            await gateway.restart()
            await gateway.wait_ready()


async def contents(api: ApiClient, user: User, room_id: str) -> list[str]:
    page = await api.data("GET", f"/room/{room_id}/messages", user, params={"limit": 100})
    return [message["content"] for message in page["messages"]]
