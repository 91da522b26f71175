"""File names of uploads: shown to people and never used as a path."""

import re
import unicodedata
from urllib.parse import quote

MAX_NAME_LENGTH = 120
MAX_EXTENSION_LENGTH = 12

_EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}
_SEPARATORS = re.compile(r"[/\\]")
_SPACES = re.compile(r"\s+")


def display_name(sent: str | None, fallback: str = "file") -> str:
    """Return the last part of a name without anything that a display could be fooled by.

    Control characters and format characters go: a right-to-left override makes `gpj.exe` look like a
    picture. What is too long is cut before its extension.
    """
    text = unicodedata.normalize("NFC", _without_controls(sent or ""))
    last = _SEPARATORS.split(text)[-1]
    name = _SPACES.sub(" ", last).strip(" .")
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > MAX_EXTENSION_LENGTH:
        return name[:MAX_NAME_LENGTH] or fallback
    return f"{stem[: MAX_NAME_LENGTH - len(extension) - 1]}.{extension}"


def image_name(sent: str | None, content_type: str) -> str:
    """Return the display name of an image, with the extension of what it is, not of what it was called."""
    name = display_name(sent, "image")
    return (name.rpartition(".")[0] or name) + _EXTENSIONS[content_type]


def content_disposition(kind: str, name: str) -> str:
    """Return the header that names a download: `inline` or `attachment`, and the name in RFC 8187's form."""
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"


def _without_controls(text: str) -> str:
    """Drop what has no glyph of its own: control, format, surrogate, private and unassigned characters."""
    return "".join(
        " " if character in "\t\n\r" else character
        for character in text
        if character in "\t\n\r" or not unicodedata.category(character).startswith("C")
    )
