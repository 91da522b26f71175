"""Goals: met, missed, or not measured."""

from chat_bench.goals import Goal, goals_of
from chat_bench.results import Results
from made_up import results


def test_measured_against_both_kinds_of_limit() -> None:
    assert Goal("rate", 3, 3.0, is_at_least=True).is_met
    assert not Goal("rate", 3, 2.9, is_at_least=True).is_met
    assert Goal("cost", 0.5, 0.5).is_met
    assert not Goal("cost", 0.5, 0.51).is_met
    assert Goal("cost", 0.5, None).is_met is None


def test_takes_its_figures_from_the_right_places() -> None:
    measured = [round(goal.measured or 0, 2) for goal in goals_of(results())]
    assert measured == [4.0, 3.33, 0.25, 0.25, 0.25, 0.5, 1.0, 2.5, 30.0, 1.1]


def test_a_run_that_measured_nothing_has_met_nothing() -> None:
    empty = Results(begun="", machine={}, settings={})
    assert {goal.is_met for goal in goals_of(empty)} == {None}
