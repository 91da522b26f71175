"""The failures of auth.

ChatError
├── ValidationFailed ── FieldRefused ── InvalidEmail, WeakPassword
├── Unauthenticated ── WrongCredentials, InvalidRefreshToken
├── Forbidden ── WrongPassword
├── NotFound ── UserNotFound, SessionNotFound
├── Conflict ── AccountTaken, AccountChanged, AmbiguousName
├── ContentTooLarge ── AvatarTooLarge
├── BadRequest ── ImageBroken, ImageTooLarge   refusals of media, passed on
├── UnsupportedMedia ── UnsupportedImage       likewise
└── Unavailable ── HashingBusy, AvatarStoreAway
"""

from chat_shared.contracts.envelope import FieldError
from chat_shared.errors import (
    BadRequest,
    Conflict,
    ContentTooLarge,
    Forbidden,
    NotFound,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    ValidationFailed,
)


class FieldRefused(ValidationFailed):
    """One field holds what its type allows and our rules do not."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__([FieldError(field=field, message=reason)])


class InvalidEmail(FieldRefused):
    """This is no email address."""


class WeakPassword(FieldRefused):
    """This password would be guessed."""


class WrongCredentials(Unauthenticated):
    """The same for an unknown account and a wrong password."""

    code = "wrong_credentials"
    message = "There is no account with this name and password"


class InvalidRefreshToken(Unauthenticated):
    code = "invalid_refresh_token"
    message = "Log in again: this refresh token is unknown, used or expired"


class WrongPassword(Forbidden):
    """A signed-in user gave a wrong password; not a 401, which would tell clients to log in again."""

    code = "wrong_password"
    message = "The password is wrong"


class UserNotFound(NotFound):
    code = "user_not_found"
    message = "There is no such user"


class SessionNotFound(NotFound):
    code = "session_not_found"
    message = "You have no such session"


class AccountTaken(Conflict):
    """Does not say which of the two is taken: an email address must not be confirmed to a stranger."""

    code = "account_taken"
    message = "This username or email is taken"


class AccountChanged(Conflict):
    code = "account_changed"
    message = "The account was changed at the same moment; try again"


class AmbiguousName(Conflict):
    """What an operator gave is the id of one account and the username of another; the message names both."""

    code = "ambiguous_name"
    message = "This is the id of one account and the username of another; give an email address"


class AvatarTooLarge(ContentTooLarge):
    code = "avatar_too_large"
    message = "An avatar may have 5 MB"


class UnsupportedImage(UnsupportedMedia):
    code = "unsupported_image"
    message = "Only JPEG, PNG, GIF and WEBP images are accepted"


class ImageBroken(BadRequest):
    code = "image_broken"
    message = "The image is damaged"


class ImageTooLarge(BadRequest):
    code = "image_too_large"
    message = "The image has too many pixels or frames"


class HashingBusy(Unavailable):
    code = "busy"
    message = "Too many logins at this moment; try again"


class AvatarStoreAway(Unavailable):
    code = "avatar_store_away"
    message = "Avatars cannot be stored at the moment; nothing was changed, try again"
