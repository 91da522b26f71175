"""The failures of media.

ChatError
├── BadRequest ── ImageBroken, ImageTooLarge
│   └── ValidationFailed ── UploadRefused
├── Forbidden ── NotAMember, NotYourMedia
├── NotFound ── MediaNotFound, RoomNotFound
├── ContentTooLarge ── QuotaExceeded
├── UnsupportedMedia ── UnsupportedImage
├── RangeNotSatisfiable
└── Unavailable ── UploadsBusy, StoreAway, RoomsAway
"""

from chat_shared.contracts.envelope import FieldError
from chat_shared.errors import (
    BadRequest,
    ChatError,
    ContentTooLarge,
    Forbidden,
    NotFound,
    Unavailable,
    UnsupportedMedia,
    ValidationFailed,
)


class UploadRefused(ValidationFailed):
    """The form is not what the route takes."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__([FieldError(field=field, message=reason)])


class UnsupportedImage(UnsupportedMedia):
    code = "unsupported_image"
    message = "Only JPEG, PNG, GIF and WEBP images are accepted"


class ImageBroken(BadRequest):
    code = "image_broken"
    message = "The image is damaged"


class ImageTooLarge(BadRequest):
    code = "image_too_large"
    message = "The image has too many pixels or frames"


class QuotaExceeded(ContentTooLarge):
    code = "quota_exceeded"
    message = "You have no room left for this; delete something first"


class MediaNotFound(NotFound):
    """The same for what does not exist and for what this caller may not see."""

    code = "media_not_found"
    message = "There is no such file"


class NotYourMedia(Forbidden):
    code = "not_media_owner"
    message = "Only its owner may delete this"


class RoomNotFound(NotFound):
    code = "room_not_found"
    message = "There is no such room"


class NotAMember(Forbidden):
    code = "not_a_member"
    message = "You are not a member of this room"


class RangeNotSatisfiable(ChatError):
    status = 416
    code = "range_not_satisfiable"
    message = "The file does not reach that far"


class UploadsBusy(Unavailable):
    code = "busy"
    message = "Too many uploads are being worked on; try again"


class StoreAway(Unavailable):
    message = "Files cannot be reached for the moment; try again"


class RoomsAway(Unavailable):
    message = "Who may see this cannot be told for the moment; try again"
