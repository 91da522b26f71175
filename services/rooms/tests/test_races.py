"""Many changes of one room at once, over two processes: whatever happens, the room adds up."""

import asyncio
import random
from typing import Any

import pytest
from bson import ObjectId
from chat_shared.testing import User


@pytest.fixture
def consistent(database: Any) -> Any:
    """Check that a room and its memberships say the same; tells whether the room exists."""

    async def check(room_id: str) -> bool:
        room = await database.rooms.find_one({"_id": ObjectId(room_id)})
        found = database.memberships.find({"roomId": ObjectId(room_id)}).sort([("joinedAt", 1)])
        memberships = await found.to_list()
        if room is None:
            assert memberships == []
            return False
        users = [membership["userId"] for membership in memberships]
        assert len(set(users)) == len(users) == room["memberCount"] > 0
        assert set(room["members"]) == set(users[:100])
        owners = [member["userId"] for member in memberships if member["role"] == "owner"]
        assert owners == [room["createdBy"]]
        assert max(membership["rev"] for membership in memberships) <= room["rev"]
        return True

    return check


class TestJoins:
    async def test_fifty_users_at_once_become_fifty_members(
        self, both: Any, rooms: Any, broker: Any, new_user: Any, consistent: Any
    ) -> None:
        room_id = await rooms.create(new_user())
        users = [new_user() for _ in range(50)]
        answers = await asyncio.gather(
            *(both[n % 2].send("POST", f"/room/{room_id}/join", user) for n, user in enumerate(users))
        )
        assert [answer.status_code for answer in answers] == [200] * 50
        assert await consistent(room_id)
        assert (await both[0].data("GET", f"/room/{room_id}", users[0]))["memberCount"] == 51
        await broker.keys_about(room_id, 52)
        joined = [event for event in broker.about(room_id) if event.key == "member.joined.v1"]
        assert [event.rev for event in joined] == list(range(1, 52))
        assert [event.member_count for event in joined] == list(range(1, 52))

    async def test_one_user_fifty_times_becomes_one_member(
        self, both: Any, rooms: Any, new_user: Any, consistent: Any
    ) -> None:
        room_id, user = await rooms.create(new_user()), new_user()
        answers = await asyncio.gather(
            *(both[n % 2].send("POST", f"/room/{room_id}/join", user) for n in range(50))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
        assert await consistent(room_id)

    async def test_the_last_places_go_to_so_many(
        self, start_rooms: Any, rooms: Any, new_user: Any, consistent: Any
    ) -> None:
        room_id = await rooms.create(new_user())
        limit = {"CHAT_MAX_MEMBERS_PER_ROOM": "5"}
        async with start_rooms("rooms-3", **limit) as third, start_rooms("rooms-4", **limit) as fourth:
            answers = await asyncio.gather(
                *(api.send("POST", f"/room/{room_id}/join", new_user()) for api in (third, fourth) * 10)
            )
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 16
        assert await consistent(room_id)

    async def test_the_last_rooms_of_a_user_are_so_many(
        self, start_rooms: Any, rooms: Any, new_user: Any, ask: Any
    ) -> None:
        owner, user = new_user(), new_user()
        room_ids = [await rooms.create(owner) for _ in range(10)]
        limit = {"CHAT_MAX_ROOMS_PER_USER": "3"}
        async with start_rooms("rooms-3", **limit) as third, start_rooms("rooms-4", **limit) as fourth:
            answers = await asyncio.gather(
                *(
                    (third, fourth)[n % 2].send("POST", f"/room/{room_id}/join", user)
                    for n, room_id in enumerate(room_ids)
                )
            )
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 7
        assert len((await ask("GET", f"/users/{user.id}/rooms")).json()["rooms"]) == 3


class TestDepartures:
    async def test_owner_and_heirs_leave_together(
        self, both: Any, rooms: Any, new_user: Any, consistent: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        admins = [await rooms.add(room_id, owner, "admin") for _ in range(3)]
        stays = await rooms.add(room_id, owner)
        answers = await asyncio.gather(
            *(
                both[n % 2].send("DELETE", f"/room/{room_id}/members", user)
                for n, user in enumerate([owner, *admins])
            )
        )
        assert [answer.status_code for answer in answers] == [200] * 4
        assert await consistent(room_id)
        assert await rooms.members(room_id, stays) == {stays.id: "owner"}

    async def test_all_leave_together(
        self, both: Any, rooms: Any, broker: Any, new_user: Any, consistent: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        users = [owner, *[await rooms.add(room_id, owner) for _ in range(9)]]
        answers = await asyncio.gather(
            *(both[n % 2].send("DELETE", f"/room/{room_id}/members", user) for n, user in enumerate(users))
        )
        assert [answer.status_code for answer in answers] == [200] * 10
        assert not await consistent(room_id)
        await asyncio.wait_for(_deletion_heard(broker, room_id), 20)
        keys = [event.key for event in broker.about(room_id)]
        assert (keys.count("member.left.v1"), keys.count("room.deleted.v1")) == (9, 1)

    async def test_the_room_is_handed_over_twice_at_once(
        self, both: Any, rooms: Any, new_user: Any, consistent: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        heirs = [await rooms.add(room_id, owner) for _ in range(2)]
        body = {"role": "owner"}
        answers = await asyncio.gather(
            *(
                both[n].send("PATCH", f"/room/{room_id}/members/{heir.id}", owner, json=body)
                for n, heir in enumerate(heirs)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403]
        assert await consistent(room_id)


@pytest.mark.parametrize("seed", range(5))
async def test_joins_departures_and_a_deletion_at_once(
    both: Any, rooms: Any, broker: Any, new_user: Any, consistent: Any, seed: int
) -> None:
    choice = random.Random(seed)
    owner = new_user()
    room_id = await rooms.create(owner)
    users = [new_user() for _ in range(12)]

    async def come_and_go(user: User) -> list[int]:
        statuses = []
        for _ in range(4):
            api = choice.choice(both)
            method, path = choice.choice([("POST", "join"), ("DELETE", "members")])
            statuses.append((await api.send(method, f"/room/{room_id}/{path}", user)).status_code)
        return statuses

    async def delete() -> int:
        await asyncio.sleep(choice.random() / 5)
        return int((await both[1].send("DELETE", f"/room/{room_id}", owner)).status_code)

    *moves, deleted = await asyncio.gather(*(come_and_go(user) for user in users), delete())
    assert deleted == 200
    assert {status for statuses in moves for status in statuses} <= {200, 403, 404, 409}
    assert not await consistent(room_id)
    for user in (owner, *users):
        assert await both[0].data("GET", "/room", user) == []
    await asyncio.wait_for(_deletion_heard(broker, room_id), 20)
    revs = [event.rev for event in broker.about(room_id) if event.key != "room.created.v1"]
    assert revs == list(range(1, len(revs) + 1)), "every change of the room has a rev of its own"


async def _deletion_heard(broker: Any, room_id: str) -> None:
    count = 1
    while "room.deleted.v1" not in await broker.keys_about(room_id, count):
        count = len(broker.about(room_id)) + 1


async def test_a_room_is_consistent_after_any_story(
    both: Any, rooms: Any, new_user: Any, consistent: Any
) -> None:
    choice = random.Random(7)
    owner = new_user()
    room_id = await rooms.create(owner)
    users = [owner, *[new_user() for _ in range(8)]]

    async def act(user: User) -> int:
        other = choice.choice(users)
        method, path, body = choice.choice(
            [
                ("POST", "join", None),
                ("POST", "join", None),
                ("DELETE", "members", None),
                ("POST", "members", {"userId": other.id}),
                ("PATCH", f"members/{other.id}", {"role": "admin"}),
                ("PATCH", f"members/{other.id}", {"role": "owner"}),
                ("DELETE", f"members/{other.id}", None),
            ]
        )
        options = {"json": body} if body else {}
        answer = await choice.choice(both).send(method, f"/room/{room_id}/{path}", user, **options)
        return int(answer.status_code)

    for _ in range(15):
        statuses = await asyncio.gather(*(act(user) for user in users))
        assert set(statuses) <= {200, 201, 403, 404, 409}
        if not await consistent(room_id):
            room_id = await rooms.create(owner)
