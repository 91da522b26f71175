"""Debian packages unpacked into a folder of the user: no root, and the system stays untouched.

`apt-get` does the downloading, with lists and a cache of its own, so signatures are checked as usual.
The result is shared by all state folders of the user.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chat_local.errors import LocalStackError

_APT_TIMEOUT_SECONDS = 600


class AptFailed(LocalStackError):
    """`apt-get` could not fetch packages."""

    def __init__(self, command: Sequence[str], output: str) -> None:
        super().__init__(f"`{' '.join(command)}` failed:\n{output.strip()[-1500:]}")


class CacheNotWritable(LocalStackError):
    """The user's cache folder cannot be made or written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} cannot be written. Set CHAT_CACHE_DIR to a folder that can.")


def is_available() -> bool:
    """Tell whether this machine has what it takes to fetch and unpack Debian packages."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def cache_folder() -> Path:
    """Return the user's folder for unpacked packages: `CHAT_CACHE_DIR`, else the usual cache folder."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat"
    return Path(os.environ.get("CHAT_CACHE_DIR") or usual) / "debian" / _release()


def unpack(
    name: str, packages: Callable[["Apt"], Sequence[str]], patch: Callable[[Path, Path], None]
) -> Path:
    """Return the folder `name` with the packages unpacked, fetched at first use.

    Args:
        name: of the folder in the cache.
        packages: tells which packages to take; called only when they have to be fetched.
        patch: is given the folder to adapt and the path it will have in the end.

    Raises:
        AptFailed: the packages cannot be fetched.
        CacheNotWritable: there is no place for them.
    """
    cache = cache_folder()
    target = cache / name
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheNotWritable(cache) from error
    with _lock(cache / f"{name}.lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f"{name}.") as work:
                _fill(Path(work), packages, patch, target)
    return target


class Apt:
    """`apt-get` with lists and caches in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial", "packages"):
            (folder / part).mkdir(parents=True)
        self._options = [
            *("-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"),
            # Nothing of the system is changed, so neither its locks nor its sandbox user are needed.
            *("-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root"),
        ]
        # One source that is out of order is no obstacle: a missing package shows when it is fetched.
        self.run("update", check=False)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run `apt-get` and return its output."""
        command = ["apt-get", "-q", *self._options, *arguments]
        result = subprocess.run(
            command,
            cwd=self._folder / "packages",
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_APT_TIMEOUT_SECONDS,
            check=False,
        )
        if check and result.returncode:
            raise AptFailed(["apt-get", *arguments], result.stdout)
        return result.stdout

    def missing_for(self, package: str) -> list[str]:
        """Return what would have to be installed for `package`, itself included."""
        plan = self.run("--simulate", "--no-install-recommends", "install", package)
        return re.findall(r"^Inst (\S+)", plan, re.MULTILINE)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Fetch packages and return their files."""
        self.run("download", *packages)
        return sorted((self._folder / "packages").glob("*.deb"))


def _fill(
    work: Path,
    packages: Callable[[Apt], Sequence[str]],
    patch: Callable[[Path, Path], None],
    target: Path,
) -> None:
    apt = Apt(work / "apt")
    root = work / "root"
    for file in apt.download(packages(apt)):
        subprocess.run(["dpkg-deb", "-x", str(file), str(root)], check=True, capture_output=True)
    patch(root, target)
    root.rename(target)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time through; a second one waits for the first one's result."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _release() -> str:
    """Return a folder name that differs where packages differ: distribution, release and processor."""
    facts = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    words = (facts.get("ID", "linux"), facts.get("VERSION_CODENAME", "unknown"), os.uname().machine)
    return "-".join(word.strip('"') for word in words)
