"""A supervised process: ready, killed, restarted, stopped, and what it leaves."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from chat_local.errors import StartFailed
from chat_local.process import ManagedProcess, ProcessSpec
from chat_local.state import StateFolder
from chat_shared.testing import eventually

# Says that it is ready by making a file with its pid.
SLEEPER = """
import os, pathlib, time
pathlib.Path("ready").write_text(str(os.getpid()))
time.sleep(600)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SLEEPER
PARENT = (
    """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
"""
    + SLEEPER
)

MakeProcess = Callable[..., ManagedProcess]


class Bench:
    """Makes processes in a folder of their own and keeps what they report."""

    def __init__(self, folder: Path) -> None:
        self.state = StateFolder(folder)
        self.reports: list[str] = []
        self.made: list[ManagedProcess] = []

    def process(self, code: str, **options: float) -> ManagedProcess:
        spec = ProcessSpec(
            "sleeper",
            [sys.executable, "-c", code],
            dict(os.environ),
            self._is_ready,
            **options,  # type: ignore[arg-type]
        )
        self.made.append(ManagedProcess(spec, self.state, self.reports.append))
        return self.made[-1]

    async def _is_ready(self) -> bool:
        ready = self.state.path / "ready"
        return ready.exists() and ready.read_text() == str(self.made[-1].pid)


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    bench.state.acquire()
    yield bench
    for process in bench.made:
        await process.stop()
    bench.state.release()


async def started(process: ManagedProcess) -> ManagedProcess:
    await process.start()
    await process.wait_ready(10)
    return process


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class TestStart:
    async def test_ready_with_pid_file_and_log(self, bench: Bench) -> None:
        process = await started(bench.process("print('hello', flush=True)" + SLEEPER))
        assert bench.state.pid_file_of("sleeper").read_text() == f"{process.pid}\n"
        assert bench.state.log_of("sleeper").read_text() == "hello\n"

    async def test_a_first_start_that_fails_is_told_with_the_end_of_the_log(self, bench: Bench) -> None:
        process = bench.process("raise SystemExit('no database')")
        await process.start()
        with pytest.raises(StartFailed, match=r"exit code 1.*sleeper\.log(.|\n)*no database"):
            await process.wait_ready(10)
        assert bench.reports == []

    async def test_not_ready_in_time_is_a_failure(self, bench: Bench) -> None:
        process = bench.process("import time; time.sleep(600)")
        await process.start()
        with pytest.raises(StartFailed, match=r"was not ready after 0\.3 s"):
            await process.wait_ready(0.3)


class TestDeath:
    async def test_started_again_and_told(self, bench: Bench) -> None:
        process = await started(bench.process(SLEEPER))
        first = process.pid
        process.kill(signal.SIGKILL)
        await process.wait_exit()
        assert not is_alive(first)
        await process.wait_ready(10)
        assert process.pid != first
        assert bench.reports == ["sleeper was ended by SIGKILL; starting it again in 0.2 s"]

    async def test_the_delay_grows(self, bench: Bench) -> None:
        process = await started(bench.process(SLEEPER))
        for _ in range(3):
            process.kill()
            await process.wait_exit()
            await process.wait_ready(10)
        assert [report.split(" in ")[1] for report in bench.reports] == ["0.2 s", "0.4 s", "0.8 s"]

    async def test_stays_down_when_told_so(self, bench: Bench) -> None:
        process = await started(bench.process(SLEEPER))
        process.auto_restart = False
        process.kill()
        await eventually(lambda: bench.reports == ["sleeper was ended by SIGKILL; it stays down"])
        assert not process.is_running
        with pytest.raises(StartFailed):
            await process.wait_ready(1)
        process.auto_restart = True
        await started(process)

    async def test_its_children_die_with_it(self, bench: Bench) -> None:
        process = await started(bench.process(PARENT))
        process.auto_restart = False
        child = int((bench.state.path / "child").read_text())
        assert is_alive(child)
        process.kill()
        await process.wait_exit()
        await eventually(lambda: not is_alive(child))


class TestStop:
    async def test_ends_without_a_restart(self, bench: Bench) -> None:
        process = await started(bench.process(SLEEPER))
        pid = process.pid
        await process.stop()
        assert not is_alive(pid)
        assert not bench.state.pid_file_of("sleeper").exists()
        assert bench.reports == []
        with pytest.raises(ProcessLookupError):
            process.kill()

    async def test_kills_what_ignores_the_request(self, bench: Bench) -> None:
        process = await started(bench.process(DEAF, stop_seconds=0.2))
        pid = process.pid
        await process.stop()
        assert not is_alive(pid)
        assert bench.reports == ["sleeper did not stop within 0.2 s: killed"]

    async def test_also_while_it_waits_for_its_restart(self, bench: Bench) -> None:
        process = await started(bench.process(SLEEPER))
        process.kill()
        await process.wait_exit()
        await process.stop()
        await asyncio.sleep(0.4)  # longer than the delay of the restart
        assert not process.is_running


class TestRestart:
    async def test_new_environment_until_the_next_one(self, bench: Bench) -> None:
        process = await started(
            bench.process("import os; print(os.environ.get('HOOK'), flush=True)" + SLEEPER)
        )
        for extra in ({"HOOK": "on"}, None):
            await process.restart(extra)
            await process.wait_ready(10)
        assert bench.state.log_of("sleeper").read_text().split() == ["None", "on", "None"]
