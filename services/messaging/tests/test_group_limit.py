"""How failures and successes move the limit of a group."""

import pytest
from chat_messaging.group_limit import GroupLimit

MOST = 1_000
FAILED, SUCCEEDED = "f", "s"

CASES: dict[str, tuple[str, int, bool]] = {
    "nothing happened yet": ("", MOST, False),
    "no more than the most": ("s s", MOST, False),
    "a failure halves it": ("f", 500, True),
    "so does each further one": ("f f f", 125, True),
    "one entry is the least": ("f " * 30, 1, True),
    "a success doubles it": ("f " * 30 + "s", 2, True),
    "one success makes up for one failure": ("f s", MOST, False),
    "ten successes make up for any number of failures": ("f " * 30 + "s " * 10, MOST, False),
    "nine do not": ("f " * 30 + "s " * 9, 512, True),
    "failures side by side count once": ("ffffffff", 500, True),
    "successes side by side count once": ("f f f ssssssss", 250, True),
    "where some fail and some do not, the last one tells": ("f f fs sf", 250, True),
}


@pytest.mark.parametrize(("ended", "entries", "is_reduced"), CASES.values(), ids=CASES.keys())
def test_limit(ended: str, entries: int, is_reduced: bool) -> None:
    """In a case, the inserts of one word are under way side by side."""
    limit = GroupLimit(MOST)
    for side_by_side in ended.split():
        taken_with = limit.entries
        for each in side_by_side:
            {FAILED: limit.failed, SUCCEEDED: limit.succeeded}[each](taken_with)
    assert (limit.entries, limit.is_reduced) == (entries, is_reduced)
