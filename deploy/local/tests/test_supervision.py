"""Nothing survives the supervisor: not what it started, nor what that started in turn."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from chat_local.leftovers import STATE_MARK, marked
from chat_local.supervision import Supervision
from chat_shared.testing import eventually

# A supervisor of one process that has a child of its own.
SUPERVISOR = """
import asyncio, os, sys
from pathlib import Path
from chat_local.process import ManagedProcess, ProcessSpec
from chat_local.state import StateFolder
from chat_local.supervision import Supervision

PARENT = '''
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
time.sleep(600)
'''

async def ready():
    return True

async def main():
    state = StateFolder(Path(sys.argv[1]))
    state.acquire()
    supervision = Supervision(state.path)
    await supervision.begin()
    spec = ProcessSpec("parent", [sys.executable, "-c", PARENT], dict(os.environ), ready)
    await ManagedProcess(supervision.mark(spec), state, print).start()
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def supervise(folder: Path) -> asyncio.subprocess.Process:
    """Start the supervisor and wait until its process and the child of that run."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SUPERVISOR, str(folder))
    await eventually(lambda: len(marked(STATE_MARK, str(folder))) == 2, timeout=20)
    return process


async def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    supervisor = await supervise(tmp_path)
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: marked(STATE_MARK, str(tmp_path)) == [], timeout=10)


async def test_the_next_start_ends_what_a_killed_warden_left(tmp_path: Path) -> None:
    supervisor = await supervise(tmp_path)
    os.kill(warden_of(supervisor.pid), signal.SIGKILL)
    supervisor.kill()
    await supervisor.wait()
    await eventually(
        lambda: len(marked(STATE_MARK, str(tmp_path))) == 1, what="only the child's child is left"
    )
    next_run = Supervision(tmp_path)
    assert await next_run.begin() == 1
    assert marked(STATE_MARK, str(tmp_path)) == []
    await next_run.end()


def warden_of(supervisor: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(
        int(pid) for pid in children if b"chat_local.warden" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
