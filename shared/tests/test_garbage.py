"""Pauses: what is there from the start is not looked at again and again."""

import gc
from collections.abc import Iterator

import pytest
from chat_shared.garbage import NEW_OBJECTS, spare_what_stays


@pytest.fixture
def thresholds() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.unfreeze()
    gc.set_threshold(*before)


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_stays_is_spared_and_new_garbage_is_found(thresholds: tuple[int, int, int]) -> None:
    spare_what_stays()
    assert len(gc.get_objects()) < 0.1 * gc.get_freeze_count()
    assert gc.get_threshold() == (NEW_OBJECTS, *thresholds[1:])
    Ring()
    assert gc.collect() > 0
