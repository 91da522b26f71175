"""The feed of a room: each entry once, in order, whatever pub/sub does to them."""

import asyncio
from collections.abc import Iterable

import pytest
from chat_gateway_ws.close_reasons import SLOW, CloseReason
from chat_gateway_ws.connections import BURST_PACKETS, Connection, TokenBucket
from chat_gateway_ws.recent import RecentBudget
from chat_gateway_ws.room_feed import (
    BLOCK_PACKETS,
    MAX_AHEAD,
    MAX_AHEAD_CHARACTERS,
    MAX_HELD,
    MAX_HELD_BYTES,
    RoomFeed,
)
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_shared.contracts.internal import RoomEntries
from chat_shared.errors import Unavailable
from chat_shared.testing import eventually
from chat_shared.tokens import Identity

ROOM = "0" * 24


def frame(seq: int) -> str:
    return f'42["new-message",{{"seq":{seq}}}]'


def entries(seqs: Iterable[int]) -> list[tuple[int, str]]:
    return [(seq, frame(seq)) for seq in seqs]


class Log:
    """A room log that answers like messaging."""

    def __init__(self, head: int = 0, page: int = 500) -> None:
        self.head = head
        self.page = page
        self.reads: list[int] = []
        self.away = False
        self.deleted = 0
        self.answering = asyncio.Event()
        """Unset, what was asked is not answered yet, from what there was when it was asked."""
        self.answering.set()

    async def fetch(self, _room_id: str, after: int, limit: int) -> RoomEntries:
        self.reads.append(after)
        if self.away:
            raise Unavailable
        first = max(after, self.deleted) + 1
        last = min(self.head, after + min(self.page, limit))
        await asyncio.sleep(0)
        await self.answering.wait()
        return RoomEntries(entries=entries(range(first, last + 1)))


WIDE = SendLimits(packets=100_000, size=100_000_000)


class Listener:
    """A socket that remembers what it was sent."""

    def __init__(self, limits: SendLimits = WIDE) -> None:
        self.queue = SendQueue()
        self.closed: list[CloseReason] = []
        self.connection = Connection(
            "eio",
            Identity("1" * 24, "session", 0),
            self.queue,
            limits,
            TokenBucket(1000, 1000),
            lambda _sid, reason: self.closed.append(reason),
        )
        self.connection.opened()

    def received(self) -> list[int]:
        frames = [self.queue.get_nowait().encode() for _ in range(self.queue.qsize())]
        return [int(text.split(":")[1].rstrip("}]")) for text in frames]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def feed(log: Log, listener: Listener) -> RoomFeed:
    feed = RoomFeed(ROOM, log.fetch, RecentBudget(1_000_000))
    feed.listeners[listener.connection] = None
    return feed


class TestReceive:
    def test_delivers_what_follows_the_head(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(3)
        assert feed.receive(entries([4, 5])) is False
        assert listener.received() == [4, 5]

    def test_drops_what_was_delivered(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(5)
        feed.receive(entries([4, 5, 6]))
        feed.receive(entries([6]))
        assert listener.received() == [6]

    def test_keeps_what_is_early_and_asks_for_the_hole(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        assert feed.receive(entries([2, 3])) is True
        assert listener.received() == []
        assert feed.receive(entries([1])) is False
        assert listener.received() == [1, 2, 3]

    def test_waits_until_the_room_is_placed(self, feed: RoomFeed, listener: Listener) -> None:
        feed.receive(entries([7, 8]))
        assert listener.received() == []
        feed.start_at(7)
        assert listener.received() == [8]

    def test_swapped_within_a_batch(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        feed.receive(entries([3, 1, 2]))
        assert listener.received() == [1, 2, 3]


class TestCatchUp:
    async def test_fills_a_hole_from_the_log(self, feed: RoomFeed, log: Log, listener: Listener) -> None:
        log.head = 10
        feed.start_at(4)
        feed.receive(entries([9, 10]))
        await feed.catch_up()
        assert listener.received() == [5, 6, 7, 8, 9, 10]

    async def test_goes_up_to_a_target_page_by_page(
        self, feed: RoomFeed, log: Log, listener: Listener
    ) -> None:
        log.head, log.page = 7, 3
        feed.start_at(0)
        await feed.catch_up(7)
        assert listener.received() == [1, 2, 3, 4, 5, 6, 7]
        assert log.reads == [0, 3, 6]

    async def test_a_failure_leaves_the_feed_ready_for_the_next_try(
        self, feed: RoomFeed, log: Log, listener: Listener
    ) -> None:
        log.head, log.away = 3, True
        feed.start_at(0)
        with pytest.raises(Unavailable):
            await feed.catch_up(3)
        log.away = False
        await feed.catch_up(3)
        assert listener.received() == [1, 2, 3]

    async def test_a_log_that_loses_its_oldest_entries_does_not_keep_us_busy(
        self, feed: RoomFeed, log: Log, listener: Listener
    ) -> None:
        log.head, log.deleted = 10, 6
        feed.start_at(4)
        async with asyncio.timeout(1):
            await feed.catch_up(10)
        assert listener.received() == []
        assert log.reads == [4]

    async def test_a_target_that_the_log_does_not_have_ends(self, feed: RoomFeed, log: Log) -> None:
        log.head = 2
        feed.start_at(2)
        await feed.catch_up(5)
        assert feed.head == 2

    async def test_early_entries_without_a_place_come_from_the_log(
        self, feed: RoomFeed, log: Log, listener: Listener
    ) -> None:
        log.head = MAX_AHEAD + 2
        feed.start_at(0)
        assert feed.receive(entries(range(2, log.head + 1))) is True
        await feed.catch_up()
        assert listener.received() == list(range(1, log.head + 1))

    async def test_early_entries_are_bounded_in_size(self, feed: RoomFeed, log: Log) -> None:
        large = "x" * 100_000
        feed.start_at(0)
        feed.receive([(seq, large) for seq in range(2, 100)])
        log.head = 1
        await feed.catch_up()
        assert feed.head == 1 + MAX_AHEAD_CHARACTERS // len(large)

    async def test_callers_at_a_time_share_one_read(
        self, feed: RoomFeed, log: Log, listener: Listener
    ) -> None:
        log.head = 5
        feed.start_at(0)
        await asyncio.gather(*(feed.catch_up(5) for _ in range(10)))
        assert log.reads == [0]
        assert listener.received() == [1, 2, 3, 4, 5]


class TestReach:
    async def test_a_read_that_began_before_is_not_the_last_word(self, feed: RoomFeed, log: Log) -> None:
        """A client knows of an entry that the log did not have when others asked."""
        feed.start_at(0)
        log.answering.clear()
        others = asyncio.create_task(feed.catch_up(1))
        await eventually(lambda: log.reads == [0])
        client = asyncio.create_task(feed.reach(1))
        await asyncio.sleep(0)
        log.head = 1
        log.answering.set()
        await asyncio.gather(others, client)
        assert feed.head == 1

    async def test_what_the_log_does_not_have_is_asked_for_once(self, feed: RoomFeed, log: Log) -> None:
        feed.start_at(0)
        await feed.reach(7)
        assert (feed.head, log.reads) == (0, [0])
        assert feed.receive(entries([1])) is False


class TestAfter:
    async def test_what_was_delivered_is_in_memory(self, feed: RoomFeed, log: Log) -> None:
        feed.start_at(0)
        feed.receive(entries(range(1, 11)))
        assert [seq for seq, _ in await feed.after(4, 3)] == [5, 6, 7]
        assert log.reads == []

    async def test_the_last_entries_are_read_once_for_all(self, feed: RoomFeed, log: Log) -> None:
        log.head = 500
        feed.start_at(500)
        pages = await asyncio.gather(*(feed.after(after, 50) for after in range(300, 450, 10)))
        assert [page[0][0] for page in pages] == list(range(301, 451, 10))
        await feed.after(320, 50)
        assert log.reads == [300]

    async def test_older_entries_are_read_for_all_who_ask_at_a_time(self, feed: RoomFeed, log: Log) -> None:
        log.head = 500
        feed.start_at(500)
        pages = await asyncio.gather(*(feed.after(100, 100) for _ in range(10)))
        assert {page[-1][0] for page in pages} == {200}
        assert log.reads == [100]

    async def test_what_was_not_delivered_yet_is_left_out(self, feed: RoomFeed, log: Log) -> None:
        log.head = 500
        feed.start_at(300)
        assert [seq for seq, _ in await feed.after(298, 50)] == [299, 300]

    async def test_large_entries_do_not_make_every_socket_read(self, feed: RoomFeed, log: Log) -> None:
        log.head = 299
        feed.start_at(200)
        for seq in range(201, 300):
            feed.receive([(seq, "42" + "x" * 10_000)])
        await feed.after(250, 10)
        assert log.reads == [250]
        await feed.after(298, 10)
        assert log.reads == [250]

    @pytest.mark.parametrize(("log_head", "deleted"), [(250, 0), (300, 150)])
    async def test_an_answer_with_a_hole_is_refused(
        self, feed: RoomFeed, log: Log, log_head: int, deleted: int
    ) -> None:
        """From a primary that answers from the past, or of a room that is being deleted."""
        log.head, log.deleted = log_head, deleted
        feed.start_at(300)
        for after in (120, 10):
            with pytest.raises(Unavailable):
                await feed.after(after, 250)


class TestHold:
    def test_collects_while_catching_up_then_merges(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(5)
        hold = feed.hold(listener.connection)
        feed.receive(entries([6, 7, 8]))
        assert listener.received() == []
        feed.release(listener.connection, hold, 7)
        feed.receive(entries([9]))
        assert listener.received() == [8, 9]

    def test_a_socket_that_left_gets_nothing(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        hold = feed.hold(listener.connection)
        feed.receive(entries([1]))
        del feed.listeners[listener.connection]
        feed.release(listener.connection, hold, 0)
        assert listener.received() == []

    def test_a_later_hold_wins(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        first = feed.hold(listener.connection)
        second = feed.hold(listener.connection)
        feed.receive(entries([1]))
        feed.release(listener.connection, first, 0)
        assert listener.received() == []
        feed.release(listener.connection, second, 0)
        assert listener.received() == [1]

    def test_a_hold_is_bounded(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        feed.hold(listener.connection)
        feed.receive(entries(range(1, MAX_HELD + 2)))
        assert listener.closed == [SLOW]

    def test_a_hold_is_bounded_in_size(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        hold = feed.hold(listener.connection)
        large = "42" + "x" * 100_000
        seq = 0
        while not listener.closed:
            seq += 1
            feed.receive([(seq, large)])
        assert listener.closed == [SLOW]
        assert MAX_HELD_BYTES < hold.size < MAX_HELD_BYTES + 3 * len(large)

    def test_what_was_sent_meanwhile_is_held_no_more(self, feed: RoomFeed, listener: Listener) -> None:
        feed.start_at(0)
        hold = feed.hold(listener.connection)
        feed.receive(entries([1, 2, 3]))
        hold.sent(2)
        assert [seq for seq, _ in hold.packets] == [3]
        feed.release(listener.connection, hold, 2)
        assert listener.received() == [3]


class TestSlowReader:
    async def test_too_many_packets_close_the_socket_once(self, feed: RoomFeed) -> None:
        slow = Listener(SendLimits(packets=10, size=1_000_000))
        feed.listeners[slow.connection] = None
        feed.start_at(0)
        feed.receive(entries(range(1, 100)))
        assert slow.closed == [SLOW]
        assert 10 * BURST_PACKETS < slow.queue.qsize() <= 10 * BURST_PACKETS + BLOCK_PACKETS

    async def test_too_many_bytes_close_the_socket(self, feed: RoomFeed) -> None:
        slow = Listener(SendLimits(packets=1_000, size=200))
        feed.listeners[slow.connection] = None
        feed.start_at(0)
        feed.receive(entries(range(1, 100)))
        assert slow.closed == [SLOW]

    async def test_others_are_served(self, feed: RoomFeed, listener: Listener) -> None:
        slow = Listener(SendLimits(packets=1, size=1_000_000))
        feed.listeners[slow.connection] = None
        feed.start_at(0)
        feed.receive(entries(range(1, 6)))
        assert listener.received() == [1, 2, 3, 4, 5]
