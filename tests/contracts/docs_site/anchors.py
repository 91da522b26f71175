"""Anchors of headings, as GitHub makes them: links work there and on the site."""

import re

_DROPPED = re.compile(r"[^\w\- ]")


class Anchors:
    """The anchors of one page; the second of two equal headings gets `-1`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, heading: str) -> str:
        """Return the anchor of the next heading, given as plain text."""
        base = _DROPPED.sub("", heading.strip().lower()).replace(" ", "-")
        anchor, count = base, 0
        while anchor in self._taken:
            count += 1
            anchor = f"{base}-{count}"
        self._taken.add(anchor)
        return anchor
