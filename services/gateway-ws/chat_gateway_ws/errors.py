"""What an event or a CONNECT is refused with."""

import random

from chat_shared.contracts.sockets import ConnectRefusal
from chat_shared.errors import BadRequest, ChatError, Forbidden, NotFound, RateLimited, Unavailable


class UnknownEvent(BadRequest):
    code = "unknown_event"
    message = "There is no such event"


class NotAMember(Forbidden):
    code = "not_a_member"
    message = "Join the room first"


class RoomNotFound(NotFound):
    code = "room_not_found"
    message = "There is no such room"


class TooManyEvents(RateLimited):
    message = "Too many events; slow down"


class Busy(Unavailable):
    code = "busy"
    message = "Too much is waiting already; try again"


class TooManyConnects(Busy):
    message = "Too many are connecting; come back later"

    def __init__(self, retry_after_ms: int) -> None:
        """`retry_after_ms`: when this one is to come back."""
        super().__init__()
        self.retry_after_ms = retry_after_ms


def connect_refusal(error: ChatError) -> ConnectRefusal:
    """Return what a client is told whose CONNECT ended with this error; no two retry at the same moment."""
    retry_after_ms = None
    if isinstance(error, TooManyConnects):
        retry_after_ms = error.retry_after_ms
    elif error.retryable:
        retry_after_ms = round((error.retry_after or 1) * random.uniform(1, 3) * 1000)
    return ConnectRefusal(code=error.code, retryable=error.retryable, retry_after_ms=retry_after_ms)
