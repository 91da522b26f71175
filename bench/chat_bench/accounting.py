"""What processes use, from /proc: processor time and memory, children included."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from chat_bench.figures import Usage

Processes = Callable[[], Mapping[str, Sequence[int]]]
"""The pids of every process that counts, by the name under which it counts."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat behind the name, counted from 0 (proc(5) counts from 1, and two stand before).
_PARENT, _USER, _SYSTEM = 1, 11, 12


def stat_fields(text: str) -> list[str]:
    """Return what follows the name of the program in /proc/<pid>/stat; the name may hold anything."""
    return text.rpartition(")")[2].split()


def cpu_seconds(text: str) -> float:
    """Return user and system time of a process from its /proc/<pid>/stat."""
    fields = stat_fields(text)
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_SECOND


def pss_kib(text: str) -> int:
    """Return the proportional set size from /proc/<pid>/smaps_rollup: shared pages count in part.

    Raises:
        ValueError: it is not there.
    """
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("no Pss in smaps_rollup")


def with_descendants(roots: Iterable[int], parents: Mapping[int, int]) -> set[int]:
    """Return processes and all that descend from them.

    Args:
        parents: the parent of every process.
    """
    family = set(roots)
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family


def _read(pid: int, name: str) -> str | None:
    """Return a file of a process; None when it has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None


def _stats() -> dict[int, str]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid: text for pid in pids if (text := _read(pid, "stat"))}


def _families(processes: Processes, stats: Mapping[int, str]) -> dict[str, set[int]]:
    parents = {pid: int(stat_fields(text)[_PARENT]) for pid, text in stats.items()}
    return {name: with_descendants(roots, parents) for name, roots in processes().items()}


class Meter:
    """Reads the processor time of processes; differences between readings are what counts."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def start(self) -> "Reading":
        """Read all clocks."""
        return Reading(self._processes)


class Reading:
    """A moment from which usage counts."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._seconds = self._read()
        self._at = time.monotonic()

    def _read(self) -> dict[str, float]:
        stats = _stats()
        return {
            name: sum(cpu_seconds(stats[pid]) for pid in family if pid in stats)
            for name, family in _families(self._processes, stats).items()
        }

    def usage(self) -> Usage:
        """Return what was used since.

        Raises:
            ProcessLookupError: a process has ended, and its usage with it.
        """
        now = self._read()
        used = {name: now[name] - before for name, before in self._seconds.items()}
        return Usage(seconds=used, wall_seconds=time.monotonic() - self._at)


def memory_kib(processes: Processes, names: Iterable[str]) -> dict[str, int]:
    """Return the memory of the processes of these names, children included, in KiB."""
    families = _families(processes, _stats())
    return {name: sum(map(_pss_of, families[name])) for name in names}


def _pss_of(pid: int) -> int:
    text = _read(pid, "smaps_rollup")
    return pss_kib(text) if text else 0
