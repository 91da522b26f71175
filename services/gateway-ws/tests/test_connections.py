"""Which membership fact counts when they arrive in any order."""

import asyncio
import time

import pytest
from chat_gateway_ws.close_reasons import SLOW, CloseReason
from chat_gateway_ws.connections import Connection, Connections, LocalUser, TokenBucket
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_shared.contracts.internal import UserRoom
from chat_shared.tokens import Identity

USER, ROOM = "1" * 24, "2" * 24


def membership(rev: int) -> UserRoom:
    return UserRoom(room_id=ROOM, role="member", rev=rev, member_count=2)


def connection(eio_sid: str = "a", session: str = "s") -> Connection:
    return Connection(
        eio_sid,
        Identity(USER, session, 0),
        SendQueue(),
        SendLimits(100, 100_000),
        TokenBucket(10, 10),
        lambda *_: None,
    )


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def user(connections: Connections) -> LocalUser:
    return connections.add(connection())


class TestMembershipFacts:
    def test_join_then_leave(self, connections: Connections, user: LocalUser) -> None:
        assert connections.joined(user, membership(3))
        assert connections.left(USER, ROOM, 4)
        assert ROOM not in user.rooms

    def test_a_leave_that_overtook_its_join(self, connections: Connections, user: LocalUser) -> None:
        assert not connections.left(USER, ROOM, 4)
        assert not connections.joined(user, membership(3))
        assert ROOM not in user.rooms

    def test_a_new_join_after_a_leave(self, connections: Connections, user: LocalUser) -> None:
        connections.joined(user, membership(3))
        connections.left(USER, ROOM, 4)
        assert connections.joined(user, membership(5))

    def test_an_old_leave_does_not_undo_a_newer_join(self, connections: Connections, user: LocalUser) -> None:
        connections.joined(user, membership(5))
        assert not connections.left(USER, ROOM, 4)
        assert ROOM in user.rooms

    def test_an_old_leave_does_not_hide_a_newer_one(self, connections: Connections, user: LocalUser) -> None:
        connections.left(USER, ROOM, 6)
        connections.left(USER, ROOM, 4)
        assert not connections.joined(user, membership(5))

    def test_noting_an_end_does_not_copy_all_others(self, connections: Connections) -> None:
        """A large room that is deleted ends many memberships at once, and nobody is served meanwhile."""

        def seconds(ends: int, prefix: str) -> float:
            began = time.process_time()
            for number in range(ends):
                connections.left(f"{prefix}{number}", ROOM, 1)
            return time.process_time() - began

        few = seconds(2_000, "a")
        seconds(10_000, "b")
        assert seconds(2_000, "c") < 10 * few + 0.05

    def test_an_end_that_was_noted_again_is_kept_from_then(
        self, connections: Connections, user: LocalUser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chat_gateway_ws.connections.MAX_TOMBSTONES", 3)
        connections.left(USER, ROOM, 4)
        connections.left("other", ROOM, 4)
        connections.left("another", ROOM, 4)
        connections.left(USER, ROOM, 6)
        connections.left("one more", ROOM, 4)
        connections.left("the last", ROOM, 4)
        assert not connections.joined(user, membership(5))

    def test_the_same_fact_twice_is_no_news(self, connections: Connections, user: LocalUser) -> None:
        assert connections.joined(user, membership(3))
        assert not connections.joined(user, membership(3))


class TestRegistry:
    def test_last_socket_takes_its_user_along(self, connections: Connections, user: LocalUser) -> None:
        connections.add(connection("b"))
        connections.remove("a")
        assert connections.user(USER) is user
        removed = connections.remove("b")
        assert removed is not None
        assert removed.gone
        assert connections.user(USER) is None

    def test_removing_twice_is_harmless(self, connections: Connections, user: LocalUser) -> None:
        assert connections.remove("a") is not None
        assert connections.remove("a") is None

    def test_sockets_of_a_session(self, connections: Connections, user: LocalUser) -> None:
        other = connection("b", session="t")
        connections.add(other)
        assert connections.of_session("t") == [other]


class TestConnectAnswerFirst:
    def test_nothing_overtakes_the_connect_answer(self) -> None:
        queue = SendQueue()
        socket = Connection(
            "a", Identity(USER, "s", 0), queue, SendLimits(10, 10_000), TokenBucket(1, 1), lambda *_: None
        )
        socket.send('42["new-message",{}]')
        assert queue.qsize() == 0
        queue.put_nowait("CONNECT")
        socket.opened()
        assert queue.get_nowait() == "CONNECT"
        assert queue.get_nowait().encode() == '42["new-message",{}]'


class TestSlowReader:
    @pytest.fixture
    def queue(self) -> SendQueue:
        return SendQueue()

    @pytest.fixture
    def closed(self) -> list[CloseReason]:
        return []

    @pytest.fixture
    def connecting(self, queue: SendQueue, closed: list[CloseReason]) -> Connection:
        return Connection(
            "a",
            Identity(USER, "s", 0),
            queue,
            SendLimits(8, 10_000),
            TokenBucket(1, 1),
            lambda _sid, reason: closed.append(reason),
        )

    @pytest.fixture
    def socket(self, connecting: Connection) -> Connection:
        connecting.opened()
        return connecting

    def test_a_burst_is_no_reason_to_close(self, socket: Connection, closed: list[CloseReason]) -> None:
        for _ in range(64):
            socket.send("42[]")
        assert closed == []

    @pytest.mark.parametrize(("frames", "length"), [(65, 10), (5, 10_000)], ids=["packets", "bytes"])
    def test_several_times_the_limit_is(
        self, socket: Connection, closed: list[CloseReason], frames: int, length: int
    ) -> None:
        for _ in range(frames):
            socket.send("4" * length)
        assert closed == [SLOW]

    def test_nor_may_more_wait_for_the_connect_answer(
        self, connecting: Connection, queue: SendQueue, closed: list[CloseReason]
    ) -> None:
        for _ in range(1_000):
            connecting.send("4" * 1_000)
        assert closed == [SLOW]
        connecting.opened()
        assert queue.qsize() <= 65

    def test_what_waits_is_counted_in_memory(self, socket: Connection, queue: SendQueue) -> None:
        socket.send("😀" * 1_000)
        assert queue.waiting_size >= 4_000
        queue.get_nowait()
        assert queue.waiting_size == 0

    def test_who_is_above_the_limit_all_the_time_is_found(self, queue: SendQueue) -> None:
        for _ in range(9):
            queue.put_nowait(None)
        assert not queue.stayed_above(8, 1)  # it may have been there for a moment only
        assert queue.stayed_above(8, 1)
        queue.get_nowait()
        queue.put_nowait(None)
        assert not queue.stayed_above(8, 1)

    async def test_the_next_page_waits_for_many_small_packets_too(
        self, socket: Connection, queue: SendQueue
    ) -> None:
        for _ in range(8):
            socket.send("42[]")
        waiting = asyncio.create_task(socket.wait_until_read())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        while queue.qsize() > 2:
            queue.get_nowait()
        await asyncio.wait_for(waiting, 1)


class TestTokenBucket:
    def test_refuses_after_the_burst(self) -> None:
        bucket = TokenBucket(rate=0.001, burst=3)
        assert [bucket.take() for _ in range(4)] == [True, True, True, False]
