"""A crowd asks rooms in few calls, and each is put into their own rooms only."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from chat_gateway_ws.clients import USERS_BATCH, RoomsClient
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.memberships import Memberships
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_shared.contracts.internal import UserRoom, UserRooms, UsersRooms, UsersRoomsQuery
from chat_shared.http import ServiceClient
from chat_shared.tokens import Identity

if TYPE_CHECKING:
    from chat_gateway_ws.room_feeds import RoomFeeds

CROWD = [f"{number:024x}" for number in range(1_000)]


def rooms_of(user_id: str) -> list[UserRoom]:
    """Everybody has a room of their own, with the id that they have."""
    return [UserRoom(room_id=user_id, role="member", rev=1, member_count=1)]


class Rooms(ServiceClient):
    """Answers as rooms does, with place for `place` users in an answer."""

    def __init__(self, place: int = USERS_BATCH) -> None:
        super().__init__("rooms", ["http://127.0.0.1:1"], "token")
        self.calls: list[int] = []
        self._place = place

    async def get(self, path: str, *_: Any, **__: Any) -> Any:
        self.calls.append(1)
        return UserRooms(rooms=rooms_of(path.split("/")[-2]))

    async def post(self, _path: str, question: Any, *_: Any, **__: Any) -> Any:
        assert isinstance(question, UsersRoomsQuery)
        self.calls.append(len(question.user_ids))
        return UsersRooms(rooms={user: rooms_of(user) for user in question.user_ids[: self._place]})


async def ask(rooms: Rooms, user_ids: list[str]) -> None:
    found = await asyncio.gather(*map(RoomsClient(rooms).of_user, user_ids))
    assert found == [rooms_of(user_id) for user_id in user_ids]


async def test_a_crowd_shares_calls() -> None:
    rooms = Rooms()
    await ask(rooms, CROWD)
    assert rooms.calls == [USERS_BATCH] * (len(CROWD) // USERS_BATCH)


async def test_who_was_left_out_of_a_full_answer_is_asked_for_again() -> None:
    rooms = Rooms(place=120)
    await ask(rooms, CROWD[:USERS_BATCH])
    assert rooms.calls == [USERS_BATCH, USERS_BATCH - 120]


async def test_one_alone_asks_for_one() -> None:
    rooms = Rooms()
    await ask(rooms, CROWD[:1])
    assert rooms.calls == [1]


async def test_sockets_of_one_user_do_not_share_a_list() -> None:
    client = RoomsClient(Rooms())
    first, second = await asyncio.gather(client.of_user(CROWD[0]), client.of_user(CROWD[0]))
    first.clear()
    assert second == rooms_of(CROWD[0])


async def test_all_users_of_a_gateway_are_asked_about_together() -> None:
    """A break of the bus is made up for within moments, however many are connected."""
    rooms, connections = Rooms(), Connections()
    lost = UserRoom(room_id="f" * 24, role="member", rev=1, member_count=1)
    for user_id in CROWD:
        connection = Connection(
            user_id,
            Identity(user_id, "session", 0),
            SendQueue(),
            SendLimits(1, 1),
            TokenBucket(1, 1),
            lambda *_: None,
        )
        connections.joined(connections.add(connection), lost)
    await Memberships(connections, cast("RoomFeeds", Feeds()), RoomsClient(rooms)).refresh([*CROWD, "gone"])
    assert rooms.calls == [USERS_BATCH] * (len(CROWD) // USERS_BATCH)
    for user_id in CROWD:
        user = connections.user(user_id)
        assert user is not None
        assert list(user.rooms) == [user_id]


class Feeds:
    """Nobody listens here."""

    async def attach(self, *_: Any) -> None: ...

    def detach(self, *_: Any) -> None: ...
