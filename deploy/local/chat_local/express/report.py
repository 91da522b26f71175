"""What an import says: how far it is, what it leaves out and why, and the sums at the end."""

import time
from collections import Counter
from collections.abc import Callable

from chat_shared.importing import Fate, Outcome

PROGRESS_SECONDS = 2.0
LISTED_PER_ROOM = 100
"""Messages of one room that are named when they are left out; of more, only the number is told."""
KINDS = ("users", "rooms", "members", "messages")


class Report:
    """Counts outcomes, and tells of them line by line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._counts: Counter[tuple[str, Fate]] = Counter()
        self._unlisted: Counter[str] = Counter()
        self._next_progress = time.monotonic() + PROGRESS_SECONDS
        self._totals: dict[str, int] = {}

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out."""
        return not any(count for (_, fate), count in self._counts.items() if fate is Fate.REFUSED)

    def expect(self, **totals: int) -> None:
        """Say about how much there is."""
        self._totals = totals
        self._say("Found " + ", ".join(f"{count:,} {kind}" for kind, count in totals.items()))

    def add(self, kind: str, name: str, outcome: Outcome) -> None:
        """Count an outcome; what is left out is named.

        Args:
            kind: one of `KINDS`.
            name: what the thing is called in a line, with its id.
            outcome: what became of it.
        """
        self._counts[kind, outcome.fate] += 1
        if outcome.fate is Fate.REFUSED:
            self._say(f"Left out: {name}: {outcome.reason}")
        self._tell_progress()

    def add_message(self, message_id: str, room: str, outcome: Outcome) -> None:
        """Count the outcome of a message; not every one of a room that lacks as a whole is named."""
        if outcome.fate is Fate.REFUSED:
            self._unlisted[room] += 1
            if self._unlisted[room] > LISTED_PER_ROOM:
                self._counts["messages", outcome.fate] += 1
                return
        self.add("messages", f"message {message_id} of room {room}", outcome)

    def room_done(self, room: str) -> None:
        """Tell how many messages of a room were left out without being named."""
        unnamed = self._unlisted.pop(room, 0) - LISTED_PER_ROOM
        if unnamed > 0:
            self._say(f"Left out: {unnamed:,} more messages of room {room}")

    def note(self, line: str) -> None:
        """Tell of something that is no failure."""
        self._say(f"Note: {line}")

    def _tell_progress(self) -> None:
        if time.monotonic() < self._next_progress:
            return
        self._next_progress = time.monotonic() + PROGRESS_SECONDS
        done = {kind: sum(self._counts[kind, fate] for fate in Fate) for kind in self._totals}
        parts = (f"{done[kind]:,} of {total:,} {kind}" for kind, total in self._totals.items())
        self._say("… " + ", ".join(parts))

    def tell_sums(self) -> None:
        """Say what became of everything."""
        rows = [("", *(fate.value for fate in Fate))]
        rows += [(kind, *(f"{self._counts[kind, fate]:,}" for fate in Fate)) for kind in KINDS]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for name, *cells in rows:
            figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            self._say(f"{name.ljust(widths[0])}  {'  '.join(figures)}")
