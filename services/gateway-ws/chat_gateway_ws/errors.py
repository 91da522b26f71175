"""What an event is refused with."""

from chat_shared.errors import BadRequest, Forbidden, NotFound, RateLimited, Unavailable


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
