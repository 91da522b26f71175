"""This service's failures.

RoomNotFound      404  no such room, or a private one that the caller is not in: the answer is the same
MemberNotFound    404  the room has no such member
UserNotFound      404  there is no such account
NotAMember        403  of a room that the caller can see
RoleTooLow        403  only owner or admins may do this
OwnerStays        403  the owner has to hand the room over first
AlreadyMember     409
RoomFull          409
TooManyRooms      409  the user is in as many rooms as one may be
SeqBeyondHead     400  nobody can have read what was not written yet
SearchTooSlow     400  the search would take too long
RoomBusy          503  too many changes of one room at once
"""

from chat_shared.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable


class RoomNotFound(NotFound):
    code = "room_not_found"
    message = "There is no such room"


class MemberNotFound(NotFound):
    code = "member_not_found"
    message = "This user is not a member of the room"


class UserNotFound(NotFound):
    code = "user_not_found"
    message = "There is no such user"


class NotAMember(Forbidden):
    code = "not_a_member"
    message = "You are not a member of this room"


class RoleTooLow(Forbidden):
    code = "role_too_low"
    message = "Your role in this room does not allow this"


class OwnerStays(Forbidden):
    code = "owner_stays"
    message = "The owner keeps this role until another member takes it over"


class AlreadyMember(Conflict):
    code = "already_member"
    message = "This user is already a member of the room"


class RoomFull(Conflict):
    code = "room_full"
    message = "The room has as many members as it can have"


class TooManyRooms(Conflict):
    code = "too_many_rooms"
    message = "This user is a member of as many rooms as one can be"


class SeqBeyondHead(BadRequest):
    code = "seq_beyond_head"
    message = "The room has no message with this seq yet"


class SearchTooSlow(BadRequest):
    code = "search_too_slow"
    message = "This search takes too long; search for a longer text"


class RoomBusy(Unavailable):
    code = "busy"
    message = "The room is being changed by many others; try again"
