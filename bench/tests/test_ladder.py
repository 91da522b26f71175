"""The search for the highest rate."""

from collections.abc import Callable

import pytest
from chat_bench.ladder import GROWTH, Ladder, Outcome, Rung


def climb(ladder: Ladder, outcome_of: Callable[[Rung], Outcome]) -> list[Rung]:
    """Go through a whole search and return all that was tried."""
    tried = []
    while (rung := ladder.next) is not None:
        tried.append(rung)
        ladder.note(outcome_of(rung))
    return tried


def limit_at(highest: float) -> Callable[[Rung], Outcome]:
    return lambda rung: Outcome.HELD if rung.rate <= highest else Outcome.MISSED


@pytest.mark.parametrize("limit", [1, 7, 99, 100, 101, 333, 1_999, 54_321])
def test_finds_the_limit_to_a_quarter(limit: float) -> None:
    ladder = Ladder(100)
    climb(ladder, limit_at(limit))
    assert limit / GROWTH < ladder.capacity * 1.001
    assert ladder.capacity <= limit
    assert ladder.ended_by == "the next rate was not held"


def test_doubles_in_short_steps_then_grows_by_a_quarter_in_long_ones() -> None:
    tried = climb(Ladder(100), limit_at(600))
    assert [rung.rate for rung in tried if rung.is_quick] == [100, 200, 400, 800]
    assert [rung.rate for rung in tried if not rung.is_quick] == [400, 500, 625, 625]


def test_goes_down_when_the_first_long_step_is_not_held() -> None:
    """Short steps are kinder: what they promise need not last."""
    ladder = Ladder(100)
    tried = climb(ladder, lambda rung: limit_at(800 if rung.is_quick else 450)(rung))
    assert [rung.rate for rung in tried if not rung.is_quick] == [800, 800, 640, 640, 512, 512, 409.6]
    assert ladder.capacity == 409.6


def test_one_failure_is_tried_again() -> None:
    outcomes = iter(
        [Outcome.HELD, Outcome.MISSED, Outcome.MISSED, Outcome.HELD, Outcome.MISSED, Outcome.VOID]
    )
    ladder = Ladder(100)
    tried = climb(ladder, lambda _rung: next(outcomes))
    assert [rung.rate for rung in tried] == [100, 200, 100, 100, 125, 125]
    assert ladder.capacity == 100


def test_says_when_the_generator_was_the_limit() -> None:
    ladder = Ladder(100)
    climb(ladder, lambda rung: Outcome.HELD if rung.rate <= 300 else Outcome.VOID)
    assert ladder.ended_by == "the load generator was late"
    assert ladder.capacity == 250


def test_who_holds_nothing_has_no_capacity() -> None:
    ladder = Ladder(10)
    climb(ladder, limit_at(0))
    assert (ladder.capacity, ladder.ended_by) == (0, "no rate was held")


def test_does_not_go_beyond_the_highest_rate() -> None:
    ladder = Ladder(20, highest=60)
    tried = climb(ladder, limit_at(1_000))
    assert max(rung.rate for rung in tried) <= 60
    assert (ladder.capacity, ladder.ended_by) == (50, "no higher rate was to be tried")


def test_ends_at_last() -> None:
    ladder = Ladder(1)
    tried = climb(ladder, limit_at(float("inf")))
    assert len(tried) == 40
    assert ladder.ended_by == "too many steps"
