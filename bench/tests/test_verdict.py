"""When a rate counts as held."""

from typing import Any

import pytest
from chat_bench.verdict import faults_of, is_void
from made_up import latency, run


def test_a_good_run_has_no_faults() -> None:
    assert faults_of(run(), keeps_order=True) == ()
    assert not is_void(run())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"lost": 1}, "1 lost"),
        ({"doubled": 2}, "2 doubled"),
        ({"out_of_order": 3}, "3 out of order"),
        ({"disconnects": 1}, "1 disconnected"),
        ({"unsent": 4}, "4 not sent"),
        ({"acked": 989}, "989 of 1000 acknowledged"),
        ({"delivery_ms": latency(101)}, "p99 of deliveries 101 ms"),
        ({"ack_ms": latency(250)}, "p99 of acknowledgements 250 ms"),
    ],
)
def test_says_what_was_wrong(changes: dict[str, Any], fault: str) -> None:
    assert faults_of(run(**changes), keeps_order=True) == (fault,)


def test_one_in_a_hundred_may_go_unanswered() -> None:
    assert faults_of(run(acked=990), keeps_order=True) == ()


def test_who_promises_no_order_is_not_measured_by_it() -> None:
    assert faults_of(run(out_of_order=3), keeps_order=False) == ()


def test_nothing_sent_is_nothing_held() -> None:
    assert faults_of(run(sent=0, acked=0), keeps_order=True) == ("0 of 0 acknowledged",)


def test_a_late_generator_voids_a_step() -> None:
    assert is_void(run(lateness_ms=latency(10.5)))
