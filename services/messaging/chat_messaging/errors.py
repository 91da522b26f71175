"""What a message or a question about messages is refused with."""

from chat_shared.errors import (
    BadRequest,
    ChatError,
    Conflict,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)


class NotAMember(Forbidden):
    code = "not_a_member"
    message = "Join the room first"


class RoomNotFound(NotFound):
    code = "room_not_found"
    message = "There is no such room"


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"
    message = "This clientMessageId was used for another message"


class ImageNotFound(BadRequest):
    code = "image_not_found"
    message = "imageUrl is not an upload that you may show"


class ConflictingKeys(BadRequest):
    code = "conflicting_keys"
    message = "Idempotency-Key and clientMessageId differ"


class Busy(Unavailable):
    code = "busy"
    message = "Too much is waiting already; try again"


#: The failures of a message, by code: what REST answers for an item of a batch.
SEND_FAILURES: dict[str, type[ChatError]] = {
    failure.code: failure
    for failure in (
        NotAMember,
        RoomNotFound,
        IdempotencyConflict,
        ImageNotFound,
        Busy,
        OutcomeUnknown,
        Unavailable,
    )
}
