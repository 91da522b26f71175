"""Finding and ending processes of a stack whose supervisor is gone.

Every process of a stack, and whatever it starts in turn, carries two marks in its environment: the
state folder and the run. A pid alone may belong to a stranger by now; a process with our mark is ours.
"""

import os
import signal
import time
from pathlib import Path

STATE_MARK = "LOCAL_STACK_STATE"
RUN_MARK = "LOCAL_STACK_RUN"


def marked(name: str, value: str) -> list[int]:
    """Return the pids of all live processes that carry the mark, this process excepted."""
    wanted = f"\0{name}={value}\0".encode()
    return [pid for pid in _pids() if pid != os.getpid() and wanted in b"\0" + _environment(pid)]


def end_marked(name: str, value: str, timeout: float = 10) -> list[int]:
    """Kill every process that carries the mark and wait until they are gone.

    Returns the pids that were killed; gives up after `timeout` seconds.
    """
    killed: list[int] = []
    deadline = time.monotonic() + timeout
    while (found := marked(name, value)) and time.monotonic() < deadline:
        for pid in found:
            _kill(pid)
        killed += [pid for pid in found if pid not in killed]
        time.sleep(0.02)
    return killed


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> bytes:
    """Return the environment of a process; empty when it is gone, a zombie, or somebody else's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
