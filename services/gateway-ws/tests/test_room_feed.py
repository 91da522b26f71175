"""The feed of a room: each entry once, in order, whatever pub/sub does to them."""

import asyncio
from collections.abc import Iterable

import pytest
from chat_gateway_ws.close_reasons import SLOW, CloseReason
from chat_gateway_ws.connections import BURST_PACKETS, Connection, SendLimits, SendQueue, TokenBucket
from chat_gateway_ws.room_feed import MAX_HELD, RoomFeed
from chat_shared.contracts.internal import RoomEntries
from chat_shared.errors import Unavailable
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

    async def fetch(self, _room_id: str, after: int) -> RoomEntries:
        self.reads.append(after)
        if self.away:
            raise Unavailable
        await asyncio.sleep(0)
        first = max(after, self.deleted) + 1
        last = min(self.head, after + self.page)
        return RoomEntries(entries=entries(range(first, last + 1)), head=self.head)


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
    feed = RoomFeed(ROOM, log.fetch)
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


class TestSlowReader:
    async def test_too_many_packets_close_the_socket_once(self, feed: RoomFeed) -> None:
        slow = Listener(SendLimits(packets=10, size=1_000_000))
        feed.listeners[slow.connection] = None
        feed.start_at(0)
        feed.receive(entries(range(1, 100)))
        assert slow.closed == [SLOW]
        assert slow.queue.qsize() == 10 * BURST_PACKETS + 1

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
