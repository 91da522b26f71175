"""What was uploaded, and who may see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["image", "file", "avatar"]
StoreName = Literal["gridfs", "cloudinary"]

#: Rooms that one file may be shown in; also what one question to rooms may ask at most.
MAX_ROOMS = 1000
#: An avatar that was just replaced may still be in use: on pages that are open, or because the change of
#: the profile failed after the upload.
KEPT_AVATARS = 5


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file as its record describes it."""

    id: str
    owner_id: str
    kind: Kind
    content_type: str
    size: int
    name: str
    store: StoreName
    store_key: str
    created_at: datetime
    width: int | None = None
    height: int | None = None
    room_ids: tuple[str, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether everybody may see it: only avatars, which are part of public profiles."""
        return self.kind == "avatar"

    def may_be_shown_in(self, room_id: str, user_id: str) -> bool:
        """Tell whether a member of a room may send this file there: their own, or one shown there before."""
        if self.kind == "avatar":
            return False
        if room_id in self.room_ids:
            return True
        return self.owner_id == user_id and len(self.room_ids) < MAX_ROOMS


@dataclass(frozen=True, slots=True)
class RoomStanding:
    """How a user stands to a room."""

    is_member: bool
    is_public: bool


def any_lets_in(standings: Iterable[RoomStanding]) -> bool:
    """Tell whether a signed-in user sees what is shown in these rooms."""
    return any(standing.is_member or standing.is_public for standing in standings)
