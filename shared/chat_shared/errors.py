"""Failures that a client is told about.

ChatError                    status, stable code, message, retryable
├── BadRequest               400  the request itself is wrong
│   └── ValidationFailed     400  with one line per field
├── Unauthenticated          401  no valid token
├── Forbidden                403  known, and not allowed
├── NotFound                 404  unknown, or hidden from this user
├── Conflict                 409
├── ContentTooLarge          413
├── UnsupportedMedia         415
├── RateLimited              429  retryable, with the seconds to wait
└── Unavailable              503  retryable: a dependency is away or too slow
    └── OutcomeUnknown       503  retryable: it may have happened; the same key asks again safely

A service derives one class per failure of its own, which fixes `code` and `message`.
"""

from collections.abc import Sequence

from chat_shared.contracts.envelope import FieldError


class ChatError(Exception):
    """A failure with a stable code; `chat_shared.app` and the gateway turn it into an answer."""

    status = 500
    code = "internal_error"
    message = "Something went wrong"
    retryable = False
    retry_after: int | None = None
    errors: Sequence[FieldError] = ()

    def __init__(self, message: str | None = None) -> None:
        """Use the class's own message, or `message` where the case says more."""
        if message is not None:
            self.message = message
        super().__init__(self.message)


class BadRequest(ChatError):
    status = 400
    code = "bad_request"
    message = "The request is not valid"


class ValidationFailed(BadRequest):
    code = "validation_failed"
    message = "Validation failed"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__()
        self.errors = errors


class Unauthenticated(ChatError):
    status = 401
    code = "unauthenticated"
    message = "A valid access token is needed"


class Forbidden(ChatError):
    status = 403
    code = "forbidden"
    message = "You may not do this"


class NotFound(ChatError):
    status = 404
    code = "not_found"
    message = "There is no such thing"


class Conflict(ChatError):
    status = 409
    code = "conflict"
    message = "This conflicts with what is there"


class ContentTooLarge(ChatError):
    status = 413
    code = "content_too_large"
    message = "The body is too large"


class UnsupportedMedia(ChatError):
    status = 415
    code = "unsupported_media_type"
    message = "This kind of content is not accepted"


class RateLimited(ChatError):
    status = 429
    code = "rate_limited"
    message = "Too many requests; slow down"
    retryable = True

    def __init__(self, retry_after: int = 1, message: str | None = None) -> None:
        """`retry_after`: whole seconds until it is worth trying again."""
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ChatError):
    status = 503
    code = "unavailable"
    message = "This part of the service is away for the moment; try again"
    retryable = True
    retry_after = 1


class OutcomeUnknown(Unavailable):
    code = "unknown"
    message = "It is not known whether this was done; repeat it with the same key"


class RemoteError(ChatError):
    """Another service's refusal, passed on as it was."""

    def __init__(self, status: int, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
