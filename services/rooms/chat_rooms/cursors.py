"""Opaque cursors: where a page ended, as text that a client hands back."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chat_shared.contracts.envelope import FieldError
from chat_shared.errors import ValidationFailed

MAX_CURSOR_LENGTH = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(rb"(\d{1,14})\.([0-9a-f]{24})")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list that is ordered by time, then by id."""

    at: datetime
    id: str

    def encode(self) -> str:
        """Return the cursor."""
        milliseconds = (self.at - _EPOCH) // timedelta(milliseconds=1)
        return urlsafe_b64encode(f"{milliseconds}.{self.id}".encode()).rstrip(b"=").decode()


def decode_position(cursor: str) -> Position:
    """Return the place that a cursor stands for.

    Raises:
        ValidationFailed: it is none of ours.
    """
    try:
        match = _FORM.fullmatch(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        match = None
    if match is None:
        raise ValidationFailed([FieldError(field="query.after", message="This is not a cursor of this list")])
    return Position(_EPOCH + timedelta(milliseconds=int(match[1])), match[2].decode())
