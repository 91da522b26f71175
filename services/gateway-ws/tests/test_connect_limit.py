"""How many are let in, and when the others are asked to come again."""

import pytest
from chat_gateway_ws.connect_limit import ConnectLimit
from chat_gateway_ws.errors import TooManyConnects, connect_refusal
from chat_shared.errors import Unauthenticated, Unavailable


def refusals(limit: ConnectLimit, attempts: int) -> list[int]:
    waits = []
    for _ in range(attempts):
        try:
            limit.require()
        except TooManyConnects as error:
            waits.append(error.retry_after_ms)
    return waits


def test_twice_the_rate_at_once() -> None:
    assert len(refusals(ConnectLimit(10), 25)) == 5


def test_the_more_are_refused_the_later_they_come() -> None:
    waits = refusals(ConnectLimit(100), 1_200)
    assert len(set(waits)) > 100
    assert min(waits) >= 1_000
    assert max(waits) <= 30_000
    first, last = waits[:100], waits[-100:]
    assert max(first) < min(last)


@pytest.mark.parametrize("error", [TooManyConnects(4_000), Unavailable()])
def test_a_retryable_refusal_says_when(error: Unavailable) -> None:
    refusal = connect_refusal(error)
    assert refusal.retryable
    assert refusal.retry_after_ms is not None
    assert refusal.retry_after_ms >= 1_000


def test_another_does_not() -> None:
    assert connect_refusal(Unauthenticated()).retry_after_ms is None
