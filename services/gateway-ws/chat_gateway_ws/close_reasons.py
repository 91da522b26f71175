"""Why the gateway closes a socket, and what its client should do then."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CloseReason:
    """One reason; a stock client reconnects by itself unless it was sent a Socket.IO disconnect."""

    code: str
    reconnect: bool
    message: str


SLOW = CloseReason("slow", True, "Messages were not read fast enough; reconnect and catch up")
INCOMPLETE = CloseReason("incomplete", True, "The history could not be completed; reconnect and catch up")
NEW_EPOCH = CloseReason("new_epoch", True, "The log was restored from a backup; reconnect and begin anew")
PROTOCOL_ERROR = CloseReason("protocol_error", False, "The client broke the protocol")
CONNECT_TIMEOUT = CloseReason("connect_timeout", False, "No valid CONNECT arrived in time")
CROWDED_OUT = CloseReason("crowded_out", True, "Too many were connected without logging in; reconnect")
SESSION_ENDED = CloseReason("session_ended", False, "The session is over; log in again")
SHUTDOWN = CloseReason("shutdown", True, "The gateway goes away; reconnect")

CLOSE_REASONS = (
    SLOW,
    INCOMPLETE,
    NEW_EPOCH,
    PROTOCOL_ERROR,
    CONNECT_TIMEOUT,
    CROWDED_OUT,
    SESSION_ENDED,
    SHUTDOWN,
)
