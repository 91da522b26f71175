"""Which bytes of a file a request wants, and whether its copy is still good (RFC 9110 §13, §14)."""

import re
from dataclasses import dataclass

from chat_media.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to and without `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes these are."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """Return the header that says which part of `size` bytes this is."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def requested_span(header: str | None, size: int) -> Span | None:
    """Return the part that a Range header asks for, or None for the whole file.

    Several ranges and other units are answered with the whole file, as a server may.

    Raises:
        RangeNotSatisfiable: the one range that is asked for begins behind the end.
    """
    match = _ONE_RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < start:
            return None  # not a valid range, so it counts as none
    if start >= stop:
        raise RangeNotSatisfiable
    return Span(start, stop)


def names_etag(header: str | None, etag: str) -> bool:
    """Tell whether an If-None-Match header names this entity tag (weak comparison)."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
