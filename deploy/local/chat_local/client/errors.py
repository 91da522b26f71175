"""Why a command could not do what it was asked; each message is one line for a terminal.

CommandFailed
├── NothingThere     nothing answers at the address
├── NotChat          something else answers there
├── Refused          the installation does not want it: its status, code and message
└── NoPassword       a password is needed, and standard input gave none
"""

from chat_local.terminal import printable


class CommandFailed(Exception):
    """Base of every failure that a command explains in one line; the exit code is 1."""


class NothingThere(CommandFailed):
    """Nothing answers at the address."""

    def __init__(self, url: str) -> None:
        super().__init__(f"Nothing answers at {url}. Start it with `make run`, or say where it is.")


class NotChat(CommandFailed):
    """Something answers that does not speak as an installation of ours does."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"What answers at {url} is not this chat: status {status}, none of our bodies.")


class Refused(CommandFailed):
    """The installation does not want it."""

    def __init__(self, status: int, code: str, message: str, *, retryable: bool, retry_after: float) -> None:
        """`retry_after`: seconds to wait before it makes sense to try again; 0 when nothing was said."""
        super().__init__(f"{printable(message)} ({printable(code)})")
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after


class NoPassword(CommandFailed):
    """A password is needed, and standard input gave none."""

    def __init__(self) -> None:
        super().__init__("A password is needed: type it, or give it as the first line of standard input.")
