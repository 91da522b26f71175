"""A crowd asks rooms in few calls, and each is put into their own rooms only."""

import asyncio
from typing import Any

from chat_gateway_ws.clients import USERS_BATCH, RoomsClient
from chat_shared.contracts.internal import UserRoom, UserRooms, UsersRooms, UsersRoomsQuery
from chat_shared.http import ServiceClient

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
