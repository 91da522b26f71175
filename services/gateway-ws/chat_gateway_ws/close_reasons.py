"""Why the gateway closes a socket, and what its client should do then."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CloseReason:
    """One reason; docs/socket-protocol.md lists them all.

    A stock client reconnects by itself unless it was sent a Socket.IO disconnect, which it is where
    `reconnect` is false.
    """

    code: str
    reconnect: bool
    happened: str
    client_does: str


SLOW = CloseReason(
    "slow",
    True,
    "more than 512 packets or 1 MiB waited for over a second, or the client took nothing for eight seconds",
    "reconnect and `sync`",
)
INCOMPLETE = CloseReason(
    "incomplete",
    True,
    "the history after a `join_room` could not be read to its end",
    "reconnect and `sync`",
)
NEW_EPOCH = CloseReason(
    "new_epoch", True, "the log was restored from a backup", "reconnect, `sync`, expect `reset`"
)
SHUTDOWN = CloseReason("shutdown", True, "the gateway goes away", "reconnect and `sync`")
CROWDED_OUT = CloseReason(
    "crowded_out", True, "too many sockets without a CONNECT, and this was the oldest", "reconnect"
)
SESSION_ENDED = CloseReason("session_ended", False, "logout, revocation, deleted account", "log in again")
PROTOCOL_ERROR = CloseReason(
    "protocol_error",
    False,
    "binary packets, reserved event names, broken frames, frames above 64 KiB, a second CONNECT",
    "mend the client",
)
CONNECT_TIMEOUT = CloseReason(
    "connect_timeout", False, "no valid CONNECT within five seconds", "connect with a valid token"
)

CLOSE_REASONS = (
    SLOW,
    INCOMPLETE,
    NEW_EPOCH,
    SHUTDOWN,
    CROWDED_OUT,
    SESSION_ENDED,
    PROTOCOL_ERROR,
    CONNECT_TIMEOUT,
)
