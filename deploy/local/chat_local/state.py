"""The state folder of a stack: data, logs, pid files and secrets, held by one stack at a time."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from chat_local.errors import StateInUse


class StateFolder:
    """Paths under the state folder, and the lock on it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.data = self.path / "data"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self.secrets = self.path / "secrets"
        self.url_file = self.run / "url"
        self.ports_file = self.run / "ports.json"
        self.lock_file = self.run / "chat.lock"
        self._lock: TextIO | None = None

    def acquire(self) -> None:
        """Make the folders and take the lock.

        The kernel gives the lock back when this process ends, however it ends.

        Raises:
            StateInUse: another live process holds it.
        """
        for folder in (self.path, self.data, self.logs, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.lock_file.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise StateInUse(self.path, holder) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_held(self) -> bool:
        """Tell whether a live process holds the lock.

        To ask takes it for an instant where nobody holds it: ask only where a stack has left something.
        """
        try:
            with self.lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def running_url(self) -> str | None:
        """Return the URL of the stack that runs; None when none does, also where one was killed."""
        return self.url_file.read_text() if self.url_file.exists() and self.is_held() else None

    def data_of(self, name: str) -> Path:
        """Return the data folder of a server, made when missing."""
        folder = self.data / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def log_of(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def pid_file_of(self, name: str) -> Path:
        """Return the pid file of a process."""
        return self.run / f"{name}.pid"

    def turn_logs(self) -> None:
        """Set the logs of the last start aside as `<name>.log.1`."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.1"))

    def forget_last_run(self) -> None:
        """Remove what a killed stack left behind: pid files and its URL."""
        for file in self.run.glob("*.pid"):
            file.unlink()
        self.url_file.unlink(missing_ok=True)
