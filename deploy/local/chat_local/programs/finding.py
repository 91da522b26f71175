"""Where a server program comes from: installed on the machine, or brought by a PyPI wheel."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chat_local.errors import ProgramMissing

Version = tuple[int, ...]

# Debian keeps daemons here, and leaves the folder out of the PATH of ordinary users.
_MORE_PLACES = "/usr/local/sbin:/usr/sbin"


@dataclass(frozen=True)
class Program:
    """A server program that can be started."""

    title: str
    path: Path
    version: str
    origin: str
    env: Mapping[str, str] = field(default_factory=dict)
    """What it needs in its environment beside the usual."""

    def __str__(self) -> str:
        return f"{self.title} {self.version} ({self.origin})"


def on_path(names: Sequence[str]) -> Path | None:
    """Return the first of these programs that is installed on the machine."""
    search = f"{os.environ.get('PATH', os.defpath)}:{_MORE_PLACES}"
    found = (shutil.which(name, path=search) for name in names)
    return next((Path(path) for path in found if path), None)


def in_wheel(distribution: str, file_name: str) -> Path | None:
    """Return a program that an installed distribution brought."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())).resolve() for file in files if file.name == file_name)
    return next((path for path in paths if path.exists()), None)


def version_of(path: Path, argument: str, env: Mapping[str, str] | None = None) -> str:
    """Return the version a program reports about itself.

    Raises:
        ProgramMissing: it does not run on this machine.
    """
    command = [str(path), argument]
    environment = {**os.environ, **(env or {})}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=environment, check=False
        )
    except OSError as error:
        raise ProgramMissing(str(path), str(error), "install it again: rm -rf .venv && make setup") from error
    output = result.stdout + result.stderr
    found = re.search(r"\d+\.\d+\.\d+", output)
    if result.returncode or not found:
        raise ProgramMissing(str(path), f"it does not run: {output.strip()[:300]}", "see its message")
    return found.group()


def parse(version: str) -> Version:
    """Return a version as numbers that compare."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def installed(title: str, names: Sequence[str], argument: str, minimum: Version) -> Program | None:
    """Return the program installed on the machine, unless it is too old or does not run."""
    path = on_path(names)
    if path is None:
        return None
    try:
        version = version_of(path, argument)
    except ProgramMissing:
        return None
    return Program(title, path, version, "on PATH") if parse(version) >= minimum else None


def from_wheel(title: str, distribution: str, file_name: str, argument: str, url_setting: str) -> Program:
    """Return the program of a PyPI wheel.

    Raises:
        ProgramMissing: the wheel is not installed, or has nothing that runs on this machine.
    """
    path = in_wheel(distribution, file_name)
    if path is None:
        mend = f"make setup, or set {url_setting} to a server of yours"
        raise ProgramMissing(title, f"not on PATH, and the wheel {distribution} is not installed", mend)
    return Program(title, path, version_of(path, argument), f"PyPI wheel {distribution}")
