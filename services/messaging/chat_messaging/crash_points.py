"""Ends the process at a chosen moment, to prove that nothing is lost there. Development only."""

import os
from collections import Counter
from typing import Literal, get_args

#: In the order of a message's life.
Point = Literal[
    "before_seal",
    "before_insert",
    "before_commit",
    "after_insert",
    "before_answer",
    "before_fanout",
    "before_confirm",
    "before_flag",
]
POINTS: tuple[str, ...] = get_args(Point)
KILLED = 137


class CrashPoints:
    """Counts how often each point is passed and ends the process at one of them."""

    def __init__(self, where: str = "") -> None:
        """`where`: `<point>:<n>`, or empty for a process that never ends itself.

        Raises:
            ValueError: there is no such point, or `n` is not a number from 1.
        """
        self._point, _, count = where.partition(":")
        self._count = int(count or 1)
        self._passed: Counter[str] = Counter()
        if (self._point and self._point not in POINTS) or self._count < 1:
            raise ValueError(f"CHAT_CRASH_AT is <point>:<n>, and the points are {', '.join(POINTS)}")

    def passing(self, point: Point) -> None:
        """End the process, like kill -9, when this is the moment; otherwise nothing."""
        if self._point == point:
            self._passed[point] += 1
            if self._passed[point] == self._count:
                os._exit(KILLED)
