"""The epoch of the log, as the answers of messaging tell it."""

import pytest
from chat_gateway_ws.epoch import LogEpoch
from chat_shared.errors import Unavailable


@pytest.fixture
def forgotten() -> list[int | None]:
    return []


@pytest.fixture
def epoch(forgotten: list[int | None]) -> LogEpoch:
    epoch = LogEpoch()
    epoch.on_change(lambda: forgotten.append(epoch.current))
    epoch.observe(5)
    return epoch


class TestObserve:
    def test_the_first_answer_is_believed(self, epoch: LogEpoch, forgotten: list[int | None]) -> None:
        epoch.observe(5)
        assert (epoch.current, forgotten) == (5, [])

    def test_a_higher_one_is_news_and_its_answer_is_not_used(
        self, epoch: LogEpoch, forgotten: list[int | None]
    ) -> None:
        with pytest.raises(Unavailable):
            epoch.observe(6)
        epoch.observe(6)
        assert (epoch.current, forgotten) == (6, [6])

    def test_a_process_that_has_not_noticed_yet_is_not_used(
        self, epoch: LogEpoch, forgotten: list[int | None]
    ) -> None:
        with pytest.raises(Unavailable):
            epoch.observe(4)
        assert (epoch.current, forgotten) == (5, [])


@pytest.mark.parametrize(("said", "is_other"), [(None, False), (5, False), (4, True), (6, True)])
def test_is_other(epoch: LogEpoch, said: int | None, is_other: bool) -> None:
    assert epoch.is_other(said) is is_other
