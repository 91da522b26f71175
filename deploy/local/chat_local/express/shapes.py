"""The original's documents, as its mongoose models write them, and what they are here.

Where the original's code and its forks differ in a name, the first that is there counts:

    users      _id, username, email, password, firstname | firstName, lastname | lastName,
               avatarUrl | avatar | profilePicture, createdAt, lastSeen; fullName | name where both names lack
    rooms      _id, roomName | name, roomType | type, else isPrivate | private, description,
               createdBy | owner | admin, members | participants, createdAt, updatedAt
    messages   _id, chatRoom | room | roomId, sender | senderId | user, content | text | message,
               messageType | type, imageUrl | image, createdAt | deliveredAt | timestamp

An id is an ObjectId, or its 24 digits as text. A date that lacks, or is before 1970 or after 9998, is the one
within the `_id`. A room that says nothing of its type is private: nobody may come in by our guess.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from chat_auth.importing import OldAccount
from chat_messaging.importing import OldMessage

Document = Mapping[str, Any]

ROOM_FIELDS = ("chatRoom", "room", "roomId")
DATE_FIELDS = ("createdAt", "deliveredAt", "timestamp")
FIRST_DATE, END_OF_DATES = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Later ones cannot be counted on from, and beyond the year 9999 nobody can write them."""
_ID = re.compile(r"[0-9a-fA-F]{24}")


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """A room with all who are said to be in it, whether they exist or not."""

    id: str
    name: str | None
    type: str | None
    description: str
    created_by: str | None
    members: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    says_no_type: bool = False

    def people(self) -> tuple[str, ...]:
        """Return the creator and the members, each once, the creator first."""
        first = () if self.created_by is None else (self.created_by,)
        return tuple(dict.fromkeys((*first, *self.members)))


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message; None where there is no such text or id."""

    id: str
    sender_id: str | None
    content: str | None
    image_url: str | None
    is_image: bool
    created_at: datetime

    def by(self, sender_id: str) -> OldMessage:
        """Return it as messaging takes it."""
        return OldMessage(
            id=self.id,
            sender_id=sender_id,
            content=self.content or "",
            message_type="image" if self.is_image else "text",
            image_url=self.image_url,
            created_at=self.created_at,
        )


def entity_id(value: Any) -> str | None:
    """Return an id as clients see it, None for anything that is none."""
    if isinstance(value, ObjectId):
        return str(value)
    return value.lower() if isinstance(value, str) and _ID.fullmatch(value) else None


def account_from(document: Document) -> OldAccount:
    """Return an account; its `_id` has to be an id."""
    firstname = _text(document, "firstname", "firstName")
    lastname = _text(document, "lastname", "lastName")
    if firstname is None and lastname is None:
        firstname, _, lastname = (_text(document, "fullName", "name") or "").strip().partition(" ")
    return OldAccount(
        id=_own_id(document),
        username=_text(document, "username"),
        email=_text(document, "email"),
        password_hash=_text(document, "password"),
        firstname=firstname or "",
        lastname=lastname or "",
        avatar_url=_url(document, "avatarUrl", "avatar", "profilePicture"),
        created_at=_date(document, "createdAt"),
        last_seen=_said_date(document, "lastSeen"),
    )


def room_from(document: Document) -> FoundRoom:
    """Return a room; its `_id` has to be an id."""
    created_at = _date(document, "createdAt")
    room_type = _room_type(document)
    return FoundRoom(
        id=_own_id(document),
        name=_text(document, "roomName", "name"),
        type=room_type or "private",
        description=_text(document, "description") or "",
        created_by=entity_id(_first(document, "createdBy", "owner", "admin")),
        members=tuple(_ids(_first(document, "members", "participants"))),
        created_at=created_at,
        updated_at=_said_date(document, "updatedAt") or created_at,
        says_no_type=room_type is None,
    )


def message_from(document: Document) -> FoundMessage:
    """Return a message; its `_id` has to be an id.

    What is neither text nor an image, as the `audio` of early versions, is brought as the text that it has.
    """
    image_url = _url(document, "imageUrl", "image")
    kind = _text(document, "messageType", "type")
    return FoundMessage(
        id=_own_id(document),
        sender_id=entity_id(_first(document, "sender", "senderId", "user")),
        content=_text(document, "content", "text", "message"),
        image_url=image_url,
        is_image=kind == "image" or image_url is not None,
        created_at=_date(document, *DATE_FIELDS),
    )


def _own_id(document: Document) -> str:
    own = entity_id(document["_id"])
    if own is None:
        raise ValueError("its _id is not an ObjectId")
    return own


def _first(document: Document, *names: str) -> Any:
    return next((document[name] for name in names if document.get(name) is not None), None)


def _text(document: Document, *names: str) -> str | None:
    value = _first(document, *names)
    return value if isinstance(value, str) else None


def _url(document: Document, *names: str) -> str | None:
    """Return an address, also where it stands within an object, as Cloudinary answers it."""
    value = _first(document, *names)
    if isinstance(value, Mapping):
        value = _first(value, "secure_url", "url")
    return value if isinstance(value, str) and value else None


def _room_type(document: Document) -> str | None:
    """Return what a room says of its type, by its name or by a flag; None when it says nothing."""
    named = _text(document, "roomType", "type")
    if named:
        return named
    flag = _first(document, "isPrivate", "private")
    if not isinstance(flag, bool):
        return None
    return "private" if flag else "public"


def _date(document: Document, *names: str) -> datetime:
    """Return the first date that a client can show; without one the date within the `_id`."""
    return _said_date(document, *names) or ObjectId(str(document["_id"])).generation_time


def _said_date(document: Document, *names: str) -> datetime | None:
    for name in names:
        value = document.get(name)
        if isinstance(value, datetime):
            moment = value if value.tzinfo else value.replace(tzinfo=UTC)
            if FIRST_DATE <= moment < END_OF_DATES:
                return moment
    return None


def _ids(values: Any) -> Iterable[str]:
    """Return the ids of members, also where each stands within an object (`user`, `userId`, `_id`)."""
    for value in values if isinstance(values, list) else ():
        inner = _first(value, "user", "userId", "_id") if isinstance(value, Mapping) else value
        found = entity_id(inner)
        if found is not None:
            yield found
