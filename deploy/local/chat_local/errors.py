"""What can keep the stack from running; each message says what to do about it.

LocalStackError
├── StateInUse       another stack runs on the same state folder
├── PortTaken        the wanted port is in use
├── ProgramMissing   a server program is neither installed nor obtainable
├── ServerAway       a server given by URL does not answer
└── StartFailed      a process exited, or was not ready in time
"""

from pathlib import Path


class LocalStackError(Exception):
    """Base of every failure that `chat up` explains in a sentence."""


class StateInUse(LocalStackError):
    """Another stack runs on the same state folder."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(
            f"Chat already runs on {folder} (pid {pid}). Stop it there with Ctrl-C or `kill {pid}`, "
            "or choose another folder with --state-dir."
        )


class PortTaken(LocalStackError):
    """The wanted port is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is in use. Choose another one: PORT=9000 make run")


class ProgramMissing(LocalStackError):
    """A server program is neither installed nor obtainable."""

    def __init__(self, program: str, reason: str, mend: str) -> None:
        super().__init__(f"{program} is missing: {reason}. To mend it: {mend}")
        self.reason = reason
        self.mend = mend


class ServerAway(LocalStackError):
    """A server given by URL does not answer."""

    def __init__(self, setting: str, where: str) -> None:
        super().__init__(f"The server of {setting} ({where}) does not answer. Start it, or unset {setting}.")


class StartFailed(LocalStackError):
    """A process exited, or was not ready in time."""

    def __init__(self, name: str, what: str, log: Path, last_lines: str) -> None:
        super().__init__(f"{name} {what}. The end of {log}:\n{last_lines}")
        self.name = name
