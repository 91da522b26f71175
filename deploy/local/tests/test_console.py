"""`chat up` as a user meets it: ready, Ctrl-C, and a kill that leaves nothing behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio
from chat_local.leftovers import RUN_MARK, STATE_MARK, end_marked, marked
from chat_local.ports import PortBook
from chat_local.probes import http_status
from chat_shared.testing import eventually

READY_SECONDS = 90


class Console:
    """A `chat up` in a session of its own, and what it printed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def up(self, *arguments: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", "up", f"--port={self.port}", "--state-dir=state"),
            *arguments,
            cwd=self.folder,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def until(self, is_it: Callable[[str], bool]) -> str:
        """Read lines until one is it, and return that; fail at the end of the output."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            while line := (await self._process.stdout.readline()).decode().rstrip("\n"):
                self.lines.append(line)
                if is_it(line):
                    return line
        raise AssertionError("the output ended: " + "\n".join(self.lines))

    def send(self, sig: int) -> None:
        assert self._process is not None
        self._process.send_signal(sig)

    async def exit_code(self) -> int:
        """Read the rest of the output and return the exit code."""
        assert self._process is not None
        async with asyncio.timeout(60):
            output, _none = await self._process.communicate()
        self.lines += output.decode().splitlines()
        assert self._process.returncode is not None
        return self._process.returncode

    def processes(self) -> list[int]:
        return marked(STATE_MARK, str(self.folder / "state"))


@pytest_asyncio.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    console = Console(tmp_path, PortBook(tmp_path / "ports.json").port("traefik"))
    yield console
    end_marked(STATE_MARK, str(tmp_path / "state"))


def is_ready(line: str) -> bool:
    return line.startswith("Chat is ready: ")


async def test_killed_started_again_and_stopped(console: Console) -> None:
    await console.up()
    assert await console.until(is_ready) == f"Chat is ready: http://localhost:{console.port}"
    assert await http_status(f"http://127.0.0.1:{console.port}/.well-known/jwks.json") == 200
    assert console.processes()

    console.send(signal.SIGKILL)
    assert await console.exit_code() == -signal.SIGKILL
    await eventually(
        lambda: not console.processes(), timeout=10, what="the killed supervisor's processes end"
    )

    await console.up("--gateways=2", "--messaging=2")
    await console.until(is_ready)
    names = {file.stem for file in (console.folder / "state" / "run").glob("*.pid")}
    assert {"auth-1", "rooms-1", "media-1", "messaging-2", "gateway-ws-2", "traefik", "mongod"} <= names
    victim = int((console.folder / "state" / "run" / "messaging-2.pid").read_text())
    os.kill(victim, signal.SIGKILL)
    assert "starting it again" in await console.until(lambda line: line.startswith("messaging-2 "))

    console.send(signal.SIGINT)
    assert await console.exit_code() == 0
    assert console.processes() == []
    assert sum(is_ready(line) for line in console.lines) == 2
    assert console.lines[-1] == "Stopped"


async def test_stopped_before_it_was_ready(console: Console) -> None:
    await console.up()
    await console.until(lambda line: line.startswith("Using "))
    console.send(signal.SIGTERM)
    assert await console.exit_code() == 0
    assert console.processes() == []


async def test_a_service_that_cannot_start_is_named_with_its_log(console: Console) -> None:
    (console.folder / ".env").write_text("CHAT_LOG_LEVEL=nonsense\n")
    await console.up()
    await console.until(lambda line: line.startswith("Chat could not start. "))
    assert await console.exit_code() == 1
    output = "\n".join(console.lines)
    assert "CHAT_LOG_LEVEL" in output
    assert str(console.folder / "state" / "logs") in output
    assert console.processes() == []


async def test_marks_do_not_outlive_their_run(console: Console) -> None:
    """The warden of one run must never touch another run on the same folder."""
    sleeper = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; time.sleep(600)"),
        env={STATE_MARK: str(console.folder / "state"), RUN_MARK: "another"},
    )
    await eventually(lambda: sleeper.pid in marked(RUN_MARK, "another"))
    assert end_marked(RUN_MARK, "other") == []
    assert end_marked(RUN_MARK, "another") == [sleeper.pid]
    await sleeper.wait()
