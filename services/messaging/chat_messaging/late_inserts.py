"""Inserts of which the log has only a part: the rest may be under way, in a server that is slow."""

import time

from bson import ObjectId

LATE_SECONDS = 30.0
"""Longer than any insert may take; by our own clock, as that of the process that inserted may be wrong."""


class LateInserts:
    """Remembers since when nothing more has come of an insert."""

    def __init__(self) -> None:
        self._seen: dict[ObjectId, tuple[int, float]] = {}
        """Id of the first entry -> how many of its insert there were, and since when."""
        self._asked: set[ObjectId] = set()

    def note(self, first_id: ObjectId, count: int) -> bool:
        """Note how many entries of an insert there are; tell whether that is news."""
        self._asked.add(first_id)
        known, _ = self._seen.get(first_id, (0, 0.0))
        if known != count:
            self._seen[first_id] = (count, time.monotonic())
        return known != count

    def may_come(self, first_id: ObjectId) -> bool:
        """Tell whether the rest of a noted insert may still come."""
        _, since = self._seen[first_id]
        return time.monotonic() - since < LATE_SECONDS

    def forget_others(self) -> None:
        """Forget the inserts that were not noted since this was last called."""
        self._seen = {first_id: seen for first_id, seen in self._seen.items() if first_id in self._asked}
        self._asked.clear()
