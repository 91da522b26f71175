"""Ends the process at a chosen moment, to prove that nothing is lost there. Development only."""

import os
from collections import Counter
from typing import Literal, get_args

Point = Literal["before_insert", "after_insert", "before_fanout", "before_confirm", "before_flag"]
POINTS: tuple[str, ...] = get_args(Point)
KILLED = 137


class CrashPoints:
    """Counts how often each point is passed and ends the process at one of them."""

    def __init__(self, where: str = "") -> None:
        """`where`: `<point>:<n>`, or empty for a process that never ends itself.

        Raises:
            ValueError: there is no such point.
        """
        self._point, _, count = where.partition(":")
        self._count = int(count or 1)
        self._passed: Counter[str] = Counter()
        if self._point and self._point not in POINTS:
            raise ValueError(f"CHAT_CRASH_AT knows {', '.join(POINTS)}")

    def passing(self, point: Point) -> None:
        """End the process, like kill -9, when this is the moment; otherwise nothing."""
        if self._point == point:
            self._passed[point] += 1
            if self._passed[point] == self._count:
                os._exit(KILLED)
