"""The request id and the deadline of the work at hand, carried through every await."""

import re
import time
from contextvars import ContextVar

from chat_shared.errors import Unavailable
from chat_shared.ids import uuid7

REQUEST_ID_HEADER = "x-request-id"
DEADLINE_HEADER = "x-deadline-ms"

_REQUEST_ID_FORM = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def set_request_id(received: str | None) -> str:
    """Adopt the caller's request id where it is well formed, else make one; return it."""
    request_id = received if received and _REQUEST_ID_FORM.match(received) else uuid7()
    _request_id.set(request_id)
    return request_id


def request_id() -> str:
    """Return the id of the request at hand, or an empty string outside of one."""
    return _request_id.get()


def set_deadline(milliseconds_left: str | None) -> None:
    """Adopt the time that the caller will still wait; anything malformed means no deadline."""
    # `isdecimal`, as `isdigit` is also true for `²`, which `int` refuses.
    valid = milliseconds_left is not None and milliseconds_left.isdecimal() and len(milliseconds_left) <= 6
    _deadline.set(time.monotonic() + int(milliseconds_left) / 1000 if valid and milliseconds_left else None)


def seconds_left(at_most: float) -> float:
    """Return the seconds until the caller gives up, never more than `at_most`.

    Raises:
        Unavailable: when that moment has passed.
    """
    deadline = _deadline.get()
    if deadline is None:
        return at_most
    left = min(deadline - time.monotonic(), at_most)
    if left <= 0:
        raise Unavailable("The caller's deadline has passed")
    return left
