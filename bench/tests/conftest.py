"""The servers that the benchmark compares with speak a part of the protocol; nothing holds them to ours."""

from collections.abc import Iterator

import pytest
from chat_shared.testing.event_contract import take_violations


@pytest.fixture(autouse=True)
def _events_keep_the_contract() -> Iterator[None]:
    """Take the place of the check of all other tests."""
    yield
    take_violations()
