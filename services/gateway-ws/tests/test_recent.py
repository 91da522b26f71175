"""The last entries of a room: consecutive, bounded each and together."""

from collections.abc import Iterable

import pytest
from chat_gateway_ws.recent import MAX_BYTES, MAX_ENTRIES, Kept, Recent, RecentBudget
from chat_gateway_ws.wire import ReadyPacket


def kept(seqs: Iterable[int], size: int = 10) -> list[Kept]:
    return [(seq, ReadyPacket("4" + "x" * size)) for seq in seqs]


def seqs(entries: list[Kept] | None) -> list[int] | None:
    return None if entries is None else [seq for seq, _ in entries]


@pytest.fixture
def budget() -> RecentBudget:
    return RecentBudget(100_000_000)


@pytest.fixture
def recent(budget: RecentBudget) -> Recent:
    return Recent(budget)


def fill(recent: Recent, numbers: Iterable[int], size: int = 10) -> None:
    for seq, packet in kept(numbers, size):
        recent.append(seq, packet)


class TestAfter:
    @pytest.mark.parametrize(
        ("after", "expected"), [(3, None), (4, [5, 6]), (5, [6, 7]), (7, [8]), (8, []), (9, [])]
    )
    def test_reaches_back_to_its_first_entry(
        self, recent: Recent, after: int, expected: list[int] | None
    ) -> None:
        fill(recent, range(5, 9))
        assert seqs(recent.after(after, 2)) == expected

    def test_nothing_kept_is_not_nothing_missed(self, recent: Recent) -> None:
        assert recent.after(0, 10) is None


class TestAppend:
    def test_the_oldest_gives_way_to_the_count(self, recent: Recent) -> None:
        fill(recent, range(1, MAX_ENTRIES + 1))
        assert (recent.first, recent.is_full) == (1, False)
        fill(recent, [MAX_ENTRIES + 1])
        assert (recent.first, recent.is_full) == (2, True)

    def test_the_oldest_gives_way_to_the_size(self, recent: Recent, budget: RecentBudget) -> None:
        fill(recent, range(1, 100), size=10_000)
        assert recent.size <= MAX_BYTES
        assert recent.is_full
        assert recent.after(99, 1) == []
        assert budget.used == recent.size

    def test_a_jump_begins_anew(self, recent: Recent) -> None:
        fill(recent, [1, 2, 3, 7])
        assert (recent.first, seqs(recent.after(6, 9))) == (7, [7])


class TestPrepend:
    def test_goes_before(self, recent: Recent) -> None:
        fill(recent, [5, 6])
        recent.prepend(kept([3, 4]))
        assert seqs(recent.after(2, 9)) == [3, 4, 5, 6]

    def test_takes_the_newest_that_have_place(self, recent: Recent) -> None:
        fill(recent, range(100, 100 + MAX_ENTRIES - 2))
        recent.prepend(kept(range(90, 100)))
        assert (recent.first, recent.is_full) == (98, True)


class TestBudget:
    def test_the_room_used_least_recently_gives_way(self) -> None:
        one = Recent(RecentBudget(1_000_000))
        fill(one, [1])
        budget = RecentBudget(3 * one.size)
        rooms = [Recent(budget) for _ in range(4)]
        for room in rooms[:3]:
            fill(room, [1])
        assert rooms[0].after(0, 1)  # used again
        fill(rooms[3], [1])
        assert [room.first for room in rooms] == [1, None, 1, 1]
        assert budget.used == 3 * one.size

    def test_what_is_cleared_counts_no_more(self, recent: Recent, budget: RecentBudget) -> None:
        fill(recent, range(1, 10))
        recent.clear()
        assert (budget.used, recent.after(9, 1)) == (0, None)

    def test_no_memory_at_all(self) -> None:
        recent = Recent(RecentBudget(0))
        fill(recent, [1, 2])
        assert (recent.first, recent.size) == (None, 0)
