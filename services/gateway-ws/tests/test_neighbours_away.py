"""What a gateway does while the services that it asks are away, slow, or answer nonsense."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from chat_gateway_ws.admission import Admission
from chat_gateway_ws.catch_up import CatchUp, Joining
from chat_gateway_ws.clients import MessagingClient, RoomsClient
from chat_gateway_ws.close_reasons import INCOMPLETE, CloseReason
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.consumers import LiveUpdates
from chat_gateway_ws.errors import RoomNotFound
from chat_gateway_ws.history import HistoryPage
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.recent import RecentBudget
from chat_gateway_ws.room_feed import RoomFeed
from chat_gateway_ws.room_feeds import FILLS, RoomFeeds
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_gateway_ws.wire import ReadyPacket
from chat_shared.bus import Bus
from chat_shared.contracts.events import MemberJoined, MemberLeft
from chat_shared.contracts.internal import UserRoom
from chat_shared.contracts.sockets import SyncPosition
from chat_shared.errors import ChatError, RemoteError
from chat_shared.http import ServiceClient
from chat_shared.redis import connect_redis
from chat_shared.testing import eventually
from chat_shared.tokens import Identity

USER, ROOM, OTHER_ROOM = "1" * 24, "2" * 24, "3" * 24
FRAME = '42["new-message",{}]'
NO_REDIS = "redis://127.0.0.1:1/0"

Answer = Callable[[web.Request], Awaitable[web.Response]]


class Neighbour:
    """Another service: counts what it is asked and answers as it is told, first in turn, then for good."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers: list[Answer] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


async def never(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def away(_request: web.Request) -> web.Response:
    return web.json_response({"code": "unavailable", "message": "", "retryable": True}, status=503)


async def nonsense(_request: web.Request) -> web.Response:
    return web.Response(text="<html>proxy</html>")


async def no_rooms(_request: web.Request) -> web.Response:
    return web.json_response({"rooms": []})


async def no_heads(_request: web.Request) -> web.Response:
    return web.json_response({"heads": {}})


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
async def http(neighbour: Neighbour) -> AsyncIterator[ServiceClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", neighbour.handle)
    async with AsyncExitStack() as running:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = ServiceClient("neighbour", [f"http://127.0.0.1:{runner.addresses[0][1]}"], "token")
        await client.start()
        running.push_async_callback(client.stop)
        yield client


@pytest.fixture
def closed() -> list[CloseReason]:
    return []


@pytest.fixture
def connection(closed: list[CloseReason]) -> Connection:
    connection = Connection(
        "eio",
        Identity(USER, "session", 0),
        SendQueue(),
        SendLimits(1_000, 1_000_000),
        TokenBucket(1, 1),
        lambda _sid, reason: closed.append(reason),
    )
    connection.opened()
    return connection


@pytest.fixture
def connections(connection: Connection) -> Connections:
    connections = Connections()
    user = connections.add(connection)
    connections.joined(user, UserRoom(room_id=ROOM, role="member", rev=1, member_count=2))
    return connections


@pytest.fixture
async def feeds(http: ServiceClient) -> AsyncIterator[RoomFeeds]:
    feeds = RoomFeeds(
        NO_REDIS,
        connect_redis(NO_REDIS),
        MessagingClient(http),
        instance="test",
        head_check_seconds=0.05,
        recent_bytes=1_000_000,
    )
    yield feeds
    await feeds.stop()


@pytest.fixture
async def updates(
    connections: Connections, feeds: RoomFeeds, http: ServiceClient
) -> AsyncIterator[LiveUpdates]:
    async def no_sessions() -> None:
        return

    updates = LiveUpdates(
        Bus("amqp://127.0.0.1:1/", source="test"),
        connections,
        Memberships(connections, feeds, RoomsClient(http)),
        feeds,
        cast("Admission", SimpleNamespace(check_sessions=no_sessions)),
    )
    yield updates
    await updates.stop()


async def test_a_break_of_the_bus_is_made_up_for_until_it_works(
    updates: LiveUpdates, connections: Connections, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_gateway_ws.consumers.RETRY_SECONDS", 0.01)
    neighbour.answers = [away, away, no_rooms]
    await asyncio.wait_for(updates.resync(), 5)
    user = connections.user(USER)
    assert user is not None
    assert user.rooms == {}


async def test_an_end_does_not_wait_behind_a_beginning(
    updates: LiveUpdates, connections: Connections, feeds: RoomFeeds, neighbour: Neighbour
) -> None:
    neighbour.answers = [never]
    joined = MemberJoined(room_id=OTHER_ROOM, user_id=USER, role="member", member_count=2, rev=2)
    left = MemberLeft(room_id=ROOM, user_id=USER, reason="removed", member_count=1, rev=2)
    async with asyncio.timeout(1):
        await updates.handle(joined)
        await updates.handle(left)
    user = connections.user(USER)
    assert user is not None
    await eventually(lambda: set(user.rooms) == {OTHER_ROOM})
    await updates.handle(
        MemberLeft(room_id=OTHER_ROOM, user_id=USER, reason="removed", member_count=1, rev=3)
    )
    assert user.rooms == {}
    feed = feeds.get(OTHER_ROOM)
    assert feed is not None
    assert feed.listeners == {}


async def test_positions_are_checked_whatever_messaging_answered(
    feeds: RoomFeeds, connection: Connection, neighbour: Neighbour
) -> None:
    neighbour.answers = [no_heads, nonsense, nonsense, no_heads]
    await feeds.attach(connection, [ROOM])
    await feeds.start()
    await eventually(lambda: neighbour.asked > 5)


async def test_rooms_are_filled_side_by_side_within_a_bound(
    feeds: RoomFeeds, connection: Connection, neighbour: Neighbour
) -> None:
    room_ids = [f"{number:024x}" for number in range(3 * FILLS)]
    neighbour.answers = [no_heads]
    await feeds.attach(connection, room_ids)
    waiting: list[str] = []
    at_once: list[int] = []
    answering = asyncio.Event()

    async def one_entry_each(request: web.Request) -> web.Response:
        if request.path.endswith("/heads"):
            return web.json_response({"heads": dict.fromkeys(room_ids, 1)})
        waiting.append(request.path)
        at_once.append(len(waiting))
        await answering.wait()
        waiting.remove(request.path)
        return web.json_response({"entries": [[1, FRAME]]})

    neighbour.answers = [one_entry_each]
    await feeds.start()
    await eventually(lambda: len(waiting) == FILLS)
    answering.set()
    opened = [feed for room_id in room_ids if (feed := feeds.get(room_id))]
    await eventually(lambda: all(feed.head == 1 for feed in opened))
    assert len(opened) == len(room_ids)
    assert max(at_once) == FILLS


async def test_a_room_is_placed_once_for_all_who_come(
    feeds: RoomFeeds, connection: Connection, neighbour: Neighbour
) -> None:
    neighbour.answers = [away, no_heads]
    attempts = await asyncio.gather(
        *(feeds.attach(connection, [ROOM, OTHER_ROOM]) for _ in range(5)), return_exceptions=True
    )
    assert [type(attempt) for attempt in attempts] == [RemoteError] * 5
    assert neighbour.asked == 1
    await asyncio.gather(*(feeds.attach(connection, [ROOM, OTHER_ROOM]) for _ in range(5)))
    assert neighbour.asked == 2


async def test_a_new_epoch_forgets_every_room(
    feeds: RoomFeeds, connection: Connection, neighbour: Neighbour
) -> None:
    neighbour.answers = [no_heads]
    await feeds.attach(connection, [ROOM])
    before = feeds.get(ROOM)
    feeds.forget_all()
    assert feeds.get(ROOM) is None
    await feeds.attach(connection, [ROOM])
    assert feeds.get(ROOM) not in (None, before)
    assert neighbour.asked == 2


async def test_a_history_that_breaks_off_ends_the_socket(
    http: ServiceClient, neighbour: Neighbour, connection: Connection, closed: list[CloseReason]
) -> None:
    neighbour.answers = [away]
    messaging = MessagingClient(http)
    messaging.epoch.observe(1)
    feed = RoomFeed(ROOM, messaging.entries, RecentBudget(1_000_000))
    feed.start_at(300)
    hold = feed.hold(connection)
    catch_up = CatchUp(cast("Any", None), cast("Any", None), messaging.epoch)
    first = HistoryPage(ROOM, 0, [(seq, ReadyPacket(FRAME)) for seq in range(1, 101)], 300, 1)
    joining = Joining(catch_up, connection, feed, hold, first)
    feed.receive([(301, FRAME)])
    with pytest.raises(ChatError):
        await joining.send_history()
    assert closed == [INCOMPLETE]


async def test_a_bus_that_came_back_is_made_up_for_whatever_happens(
    updates: LiveUpdates, connections: Connections, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_gateway_ws.consumers.RETRY_SECONDS", 0.01)
    neighbour.answers = [no_rooms]
    original, failures = updates._memberships.refresh, [RuntimeError("a closed transport")]

    async def refresh(user_ids: Iterable[str]) -> None:
        if failures:
            raise failures.pop()
        await original(user_ids)

    monkeypatch.setattr(updates._memberships, "refresh", refresh)
    await asyncio.wait_for(updates.resync(), 5)
    user = connections.user(USER)
    assert user is not None
    assert user.rooms == {}


async def test_a_room_that_is_opened_anew_does_not_wait_for_its_old_place(
    feeds: RoomFeeds, connection: Connection, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed was let go while messaging took its time; the next one has to be placed itself."""
    monkeypatch.setattr("chat_gateway_ws.room_feeds.LINGER_SECONDS", 0.01)
    answering = asyncio.Event()

    async def late(request: web.Request) -> web.Response:
        await answering.wait()
        return await no_heads(request)

    neighbour.answers = [late, no_heads]
    first = asyncio.create_task(feeds.attach(connection, [ROOM]))
    await eventually(lambda: neighbour.asked == 1)
    feeds.detach(connection, [ROOM])
    await eventually(lambda: feeds.get(ROOM) is None)
    second = asyncio.create_task(feeds.attach(connection, [ROOM]))
    await asyncio.sleep(0)
    answering.set()
    await asyncio.gather(first, second)
    feed = feeds.get(ROOM)
    assert feed is not None
    assert feed.head == 0


class TestLosingARoom:
    """What was read, or asked, before a membership ended reaches nobody after that."""

    @pytest.fixture
    def memberships(self, connections: Connections, feeds: RoomFeeds, http: ServiceClient) -> Memberships:
        return Memberships(connections, feeds, RoomsClient(http))

    @pytest.fixture
    async def catch_up(
        self, feeds: RoomFeeds, memberships: Memberships, connection: Connection, neighbour: Neighbour
    ) -> CatchUp:
        """The user has not read a room of 250 entries."""
        neighbour.answers = [entries_of(250)]
        await feeds.attach(connection, [ROOM])
        epoch = feeds._messaging.epoch
        return CatchUp(memberships, feeds, epoch)

    @pytest.fixture
    def remove_while_reading(self, catch_up: CatchUp, memberships: Memberships, neighbour: Neighbour) -> None:
        async def remove(request: web.Request) -> web.Response:
            memberships.left(USER, ROOM, 2)
            return await entries_of(250)(request)

        neighbour.answers = [remove]

    @pytest.mark.usefixtures("remove_while_reading")
    async def test_during_a_sync(self, catch_up: CatchUp, connection: Connection) -> None:
        answer = await catch_up.sync(connection, SyncPosition(room_id=ROOM, after=0))
        assert answer.error is not None
        assert answer.error.code == RoomNotFound.code
        assert connection._queue.empty()

    @pytest.mark.usefixtures("remove_while_reading")
    async def test_during_the_first_read_of_a_join(self, catch_up: CatchUp, connection: Connection) -> None:
        with pytest.raises(RoomNotFound):
            await catch_up.join(connection, ROOM, 0)

    async def test_while_a_join_reads_on(
        self,
        catch_up: CatchUp,
        memberships: Memberships,
        connection: Connection,
        neighbour: Neighbour,
        closed: list[CloseReason],
    ) -> None:
        joining = await catch_up.join(connection, ROOM, 0)

        async def remove(request: web.Request) -> web.Response:
            memberships.left(USER, ROOM, 2)
            return await entries_of(250)(request)

        neighbour.answers = [remove]
        await joining.send_history()
        assert connection._queue.qsize() == 1
        assert closed == []

    async def test_and_getting_it_back_during_a_sync(
        self, catch_up: CatchUp, memberships: Memberships, connection: Connection, neighbour: Neighbour
    ) -> None:
        async def remove_and_add(request: web.Request) -> web.Response:
            memberships.left(USER, ROOM, 2)
            await memberships.joined(USER, UserRoom(room_id=ROOM, role="member", rev=3, member_count=2))
            return await entries_of(250)(request)

        neighbour.answers = [remove_and_add]
        answer = await catch_up.sync(connection, SyncPosition(room_id=ROOM, after=0))
        assert answer.error is not None
        assert answer.error.retryable
        assert connection._queue.empty()

    async def test_while_rooms_still_says_yes(
        self,
        catch_up: CatchUp,
        memberships: Memberships,
        connection: Connection,
        neighbour: Neighbour,
        feeds: RoomFeeds,
    ) -> None:
        async def member_before(_request: web.Request) -> web.Response:
            memberships.left(USER, OTHER_ROOM, 2)
            fact = {"roomId": OTHER_ROOM, "userId": USER, "role": "member", "rev": 1, "roomType": "private"}
            return web.json_response({"memberships": [fact]})

        neighbour.answers = [member_before, entries_of(250)]
        with pytest.raises(RoomNotFound):
            await catch_up.join(connection, OTHER_ROOM, None)
        feed = feeds.get(OTHER_ROOM)
        assert feed is None or connection not in feed.listeners


def entries_of(head: int) -> Answer:
    """Answer for the log of a room with so many entries."""

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/heads"):
            return web.json_response({"heads": {ROOM: head, OTHER_ROOM: head}, "epoch": 1})
        after, limit = int(request.query["after"]), int(request.query["limit"])
        seqs = range(after + 1, min(after + limit, head) + 1)
        return web.json_response({"entries": [[seq, FRAME] for seq in seqs], "epoch": 1})

    return answer
