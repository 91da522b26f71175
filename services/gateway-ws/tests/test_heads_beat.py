"""`heads`: what has gone to a socket, and nothing that has not."""

import orjson
import pytest
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.epoch import LogEpoch
from chat_gateway_ws.heads_beat import MAX_ROOMS, HeadsBeat
from chat_gateway_ws.recent import RecentBudget
from chat_gateway_ws.room_feed import RoomFeed
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_gateway_ws.wire import payload_of
from chat_shared.contracts.internal import RoomEntries
from chat_shared.contracts.sockets import DeliveredHeads
from chat_shared.tokens import Identity

ROOM, OTHER_ROOM = "1" * 24, "2" * 24


class Feeds(dict[str, RoomFeed]):
    """Rooms by id, each with one listener."""

    def open(self, room_id: str, connection: Connection, head: int | None) -> RoomFeed:
        feed = self[room_id] = RoomFeed(room_id, no_log, RecentBudget(1_000_000))
        if head is not None:
            feed.start_at(head)
        feed.listeners[connection] = None
        connection.listening.add(room_id)
        return feed


async def no_log(_room_id: str, _after: int, _limit: int) -> RoomEntries:
    raise AssertionError


@pytest.fixture
def queue() -> SendQueue:
    return SendQueue()


@pytest.fixture
def connection(queue: SendQueue) -> Connection:
    identity, limits = Identity("1" * 24, "session", 0), SendLimits(1_000, 1_000_000)
    connection = Connection("eio", identity, queue, limits, TokenBucket(1, 1), lambda *_: None)
    connection.opened()
    return connection


@pytest.fixture
def feeds() -> Feeds:
    return Feeds()


@pytest.fixture
def epoch() -> LogEpoch:
    epoch = LogEpoch()
    epoch.observe(3)
    return epoch


@pytest.fixture
def beat(feeds: Feeds, epoch: LogEpoch) -> HeadsBeat:
    return HeadsBeat(Connections(), feeds, epoch, interval_seconds=30)


def told(queue: SendQueue) -> list[DeliveredHeads]:
    packets = [queue.get_nowait() for _ in range(queue.qsize())]
    return [DeliveredHeads.model_validate(orjson.loads(payload_of(packet))) for packet in packets]


async def test_what_was_delivered_is_told(
    beat: HeadsBeat, feeds: Feeds, connection: Connection, queue: SendQueue
) -> None:
    feeds.open(ROOM, connection, 7)
    feeds.open(OTHER_ROOM, connection, 0)
    beat.tell(connection)
    assert told(queue) == [DeliveredHeads(epoch=3, heads={ROOM: 7, OTHER_ROOM: 0})]


async def test_a_room_that_catches_up_is_left_out(
    beat: HeadsBeat, feeds: Feeds, connection: Connection, queue: SendQueue
) -> None:
    feed = feeds.open(ROOM, connection, 7)
    hold = feed.hold(connection)
    beat.tell(connection)
    assert told(queue) == []
    feed.release(connection, hold, 7)
    beat.tell(connection)
    assert [notice.heads for notice in told(queue)] == [{ROOM: 7}]


async def test_a_room_that_was_left_or_not_placed_is_left_out(
    beat: HeadsBeat, feeds: Feeds, connection: Connection, queue: SendQueue
) -> None:
    del feeds.open(ROOM, connection, 7).listeners[connection]
    feeds.open(OTHER_ROOM, connection, None)
    beat.tell(connection)
    assert told(queue) == []


async def test_a_frame_is_bounded(
    beat: HeadsBeat, feeds: Feeds, connection: Connection, queue: SendQueue
) -> None:
    for number in range(MAX_ROOMS + 1):
        feeds.open(f"{number:024x}", connection, number)
    beat.tell(connection)
    notices = told(queue)
    assert [len(notice.heads) for notice in notices] == [MAX_ROOMS, 1]
    assert len({room_id for notice in notices for room_id in notice.heads}) == MAX_ROOMS + 1


async def test_nobody_knows_the_epoch_yet(feeds: Feeds, connection: Connection, queue: SendQueue) -> None:
    feeds.open(ROOM, connection, 7)
    HeadsBeat(Connections(), feeds, LogEpoch(), interval_seconds=30).tell(connection)
    assert told(queue) == []
