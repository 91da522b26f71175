"""The rule by which the highest rate is searched. No I/O.

First short steps, each twice as fast as the last, until one is not held; then steps of full length from
the last rate that was, each a quarter faster. A step of full length that is not held is tried once more:
only the second failure counts, since one pause of the machine is not a limit of the server.
"""

from dataclasses import dataclass
from enum import Enum
from math import inf

GROWTH = 1.25
LOWEST = 0.5
"""Messages per second; who does not hold this holds nothing."""
MOST_STEPS = 40


class Outcome(Enum):
    """How a step ended."""

    HELD = "held"
    MISSED = "missed"
    VOID = "void"


@dataclass(frozen=True)
class Rung:
    """A rate to try, in messages per second."""

    rate: float
    is_quick: bool


def rounded(rate: float) -> float:
    """Return a rate as it can be written down."""
    return float(f"{rate:.4g}")


class Ladder:
    """One search: take `next`, try it, and `note` how it ended, until `next` is None."""

    def __init__(self, start: float, highest: float = inf) -> None:
        """Args:
        start: the first rate, in messages per second.
        highest: no higher rate is tried.
        """
        self.capacity = 0.0
        """The highest rate that a step of full length held."""
        self.ended_by = ""
        """Why the search is over."""
        self._highest = highest
        self._rate = start
        self._is_quick = True
        self._is_second_try = False
        self._climbs = True
        self._steps = 0

    @property
    def next(self) -> Rung | None:
        """What to try now; None when the search is over."""
        return None if self.ended_by else Rung(self._rate, self._is_quick)

    def note(self, outcome: Outcome) -> None:
        """Take in how `next` ended."""
        self._steps += 1
        if self._is_quick:
            self._after_quick(outcome)
        elif outcome is Outcome.HELD:
            self._after_held()
        elif not self._is_second_try:
            self._is_second_try = True
        else:
            self._after_failure(outcome)
        if self._steps >= MOST_STEPS:
            self.ended_by = self.ended_by or "too many steps"

    def _go_to(self, rate: float) -> None:
        self._rate = rounded(rate)

    def _after_quick(self, outcome: Outcome) -> None:
        if outcome is Outcome.HELD and self._rate * 2 <= self._highest:
            self._go_to(self._rate * 2)
        elif outcome is Outcome.HELD:
            self._is_quick = False
        else:
            self._is_quick = False
            self._go_to(self._rate / 2)

    def _after_held(self) -> None:
        self._is_second_try = False
        self.capacity = self._rate
        self._go_to(self._rate * GROWTH)
        if not self._climbs:
            self.ended_by = "the next rate was not held"
        elif self._rate > self._highest:
            self.ended_by = "no higher rate was to be tried"

    def _after_failure(self, outcome: Outcome) -> None:
        """Both tries failed: that was the limit, or, when nothing was held so far, go down."""
        self._is_second_try = False
        if self.capacity:
            late = outcome is Outcome.VOID
            self.ended_by = "the load generator was late" if late else "the next rate was not held"
            return
        self._climbs = False
        self._go_to(self._rate / GROWTH)
        if self._rate < LOWEST:
            self.ended_by = "no rate was held"
