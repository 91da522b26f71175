"""What the machine is: without it no figure means anything."""

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from chat_local.programs import mongod, rabbitmq, redis, traefik

PACKAGES = ("python-socketio", "pymongo", "redis", "uvicorn", "uvloop", "aiohttp", "fastapi")


async def describe() -> Mapping[str, str]:
    """Return processor, memory, kernel and the versions of everything that takes part."""
    found = {
        "processor": processor(_proc("cpuinfo")),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": memory(_proc("meminfo")),
        "load before the run": f"{os.getloadavg()[0]:.2f} (mean of a minute)",
        "kernel": platform.release(),
        "system": _system(),
        "Python": platform.python_version(),
        "Node.js": await _first_line("node", "--version"),
        "C compiler": await _first_line("cc", "--version"),
    }
    programs = await asyncio.to_thread(lambda: [each.find() for each in (mongod, redis, rabbitmq, traefik)])
    found |= {program.title: f"{program.version} ({program.origin})" for program in programs}
    return found | {package: version(package) for package in PACKAGES}


def _proc(name: str) -> str:
    return Path("/proc", name).read_text()


def processor(cpuinfo: str) -> str:
    """Return the model from /proc/cpuinfo, or the architecture where it names none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def memory(meminfo: str) -> str:
    """Return the size of the memory from /proc/meminfo."""
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return f"{int(fields['MemTotal'].split()[0]) / 1024**2:.1f} GiB"


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", sys.platform)
    except OSError:
        return sys.platform


async def _first_line(*command: str) -> str:
    """Return the first line that a command prints; what is missing is said to be."""
    if shutil.which(command[0]) is None:
        return "missing"
    asked = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await asked.communicate()
    return (said.decode(errors="replace").splitlines() or ["unknown"])[0]


def command_line(arguments: Sequence[str]) -> str:
    """Return how to run the same again."""
    return " ".join(["python -m chat_bench", *arguments])
