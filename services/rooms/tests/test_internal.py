"""What the other services ask."""

from typing import Any

import pytest
from bson import ObjectId
from chat_shared.contracts.internal import MembershipFacts, UserRooms


class TestRoomsOfUser:
    async def test_all_of_them_with_role_rev_and_count(self, rooms: Any, new_user: Any, ask: Any) -> None:
        user, other = new_user(), new_user()
        own, visited = await rooms.create(user), await rooms.create(other, "private")
        await rooms.add(visited, other)
        await rooms.add(visited, other, "admin", user)
        answer = UserRooms.model_validate_json((await ask("GET", f"/users/{user.id}/rooms")).content)
        assert {room.room_id: (room.role, room.rev, room.member_count) for room in answer.rooms} == {
            own: ("owner", 1, 1),
            visited: ("admin", 3, 3),
        }

    async def test_a_thousand_rooms_come_at_once(self, ask: Any, new_user: Any, database: Any) -> None:
        user = new_user()
        room_ids = [ObjectId() for _ in range(1000)]
        await database.rooms.insert_many({"_id": room_id, **ROOM} for room_id in room_ids)
        await database.memberships.insert_many(
            {"roomId": room_id, "userId": ObjectId(user.id), **MEMBERSHIP} for room_id in room_ids
        )
        answer = (await ask("GET", f"/users/{user.id}/rooms")).json()
        assert {room["roomId"] for room in answer["rooms"]} == {str(room_id) for room_id in room_ids}

    async def test_an_unknown_user_is_in_no_room(self, ask: Any) -> None:
        assert (await ask("GET", f"/users/{ObjectId()}/rooms")).json() == {"rooms": []}

    async def test_a_malformed_id_is_refused(self, ask: Any) -> None:
        assert (await ask("GET", "/users/x/rooms")).status_code == 400


class TestRoomsOfUsers:
    async def test_each_gets_what_they_get_alone(self, rooms: Any, new_user: Any, ask: Any) -> None:
        owner, member, nobody = new_user(), new_user(), new_user()
        public, private = await rooms.create(owner), await rooms.create(owner, "private")
        await rooms.add(private, owner, "admin", member)
        users = [owner.id, member.id, nobody.id]
        answer = (await ask("POST", "/users/rooms", json={"userIds": [*users, owner.id]})).json()["rooms"]
        alone = {user: (await ask("GET", f"/users/{user}/rooms")).json()["rooms"] for user in users}
        assert {user: by_id(found) for user, found in answer.items()} == {
            user: by_id(found) for user, found in alone.items()
        }
        assert by_id(answer[owner.id]).keys() == {public, private}
        assert answer[nobody.id] == []

    async def test_a_deleted_room_is_nobodys_before_its_memberships_are_gone(
        self, rooms: Any, new_user: Any, ask: Any, database: Any
    ) -> None:
        owner = new_user()
        kept, deleted = await rooms.create(owner), await rooms.create(owner)
        await database.rooms.delete_one({"_id": ObjectId(deleted)})
        answer = (await ask("POST", "/users/rooms", json={"userIds": [owner.id]})).json()["rooms"]
        assert by_id(answer[owner.id]).keys() == {kept}

    async def test_a_full_answer_leaves_out_whole_users_and_at_last_answers_all(
        self, ask: Any, database: Any
    ) -> None:
        counts = {str(ObjectId()): count for count in (2_000, 2_500, 600, 6_000, 1)}
        await store_memberships(database, counts)
        answered: dict[str, int] = {}
        while missing := sorted(counts.keys() - answered.keys()):
            answer = (await ask("POST", "/users/rooms", json={"userIds": missing})).json()["rooms"]
            assert answer
            assert len(answer) == 1 or sum(map(len, answer.values())) <= 5_000
            answered |= {user: len(rooms) for user, rooms in answer.items()}
        assert answered == counts

    async def test_a_hundred_users_take_two_queries(self, ask: Any, database: Any) -> None:
        counts = {str(ObjectId()): 1 for _ in range(100)}
        await store_memberships(database, counts)
        before = (await database.client.admin.command("serverStatus"))["opcounters"]["query"]
        answer = (await ask("POST", "/users/rooms", json={"userIds": list(counts)})).json()["rooms"]
        after = (await database.client.admin.command("serverStatus"))["opcounters"]["query"]
        assert {user: len(rooms) for user, rooms in answer.items()} == counts
        # Beside our two there may be some of the outbox and the cleaner.
        assert after - before < 20

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"userIds": []},
            {"userIds": ["x"]},
            {"userIds": [{"$ne": None}]},
            {"userIds": ["0" * 24] * 201},
            {"userIds": ["0" * 24], "more": 1},
        ],
    )
    async def test_questions_are_checked_and_bounded(self, ask: Any, body: dict[str, Any]) -> None:
        assert (await ask("POST", "/users/rooms", json=body)).status_code == 400


def by_id(rooms: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {room["roomId"]: room for room in rooms}


async def store_memberships(database: Any, counts: dict[str, int]) -> None:
    """Put users into so many rooms each."""
    entered = [(ObjectId(), ObjectId(user)) for user, count in counts.items() for _ in range(count)]
    await database.rooms.insert_many({"_id": room, **ROOM} for room, _ in entered)
    await database.memberships.insert_many(
        {"roomId": room, "userId": user, **MEMBERSHIP} for room, user in entered
    )


class TestCheckMemberships:
    async def test_answers_in_the_order_of_the_questions(self, rooms: Any, new_user: Any, ask: Any) -> None:
        owner, outsider = new_user(), new_user()
        public, private = await rooms.create(owner), await rooms.create(owner, "private")
        member = await rooms.add(private, owner)
        absent = str(ObjectId())
        questions = [
            (private, member.id),
            (public, outsider.id),
            (absent, owner.id),
            (private, outsider.id),
            (public, owner.id),
            (private, member.id),
        ]
        body = {"memberships": [{"roomId": room_id, "userId": user_id} for room_id, user_id in questions]}
        response = await ask("POST", "/memberships/check", json=body)
        facts = MembershipFacts.model_validate_json(response.content).memberships
        assert [(fact.room_id, fact.user_id) for fact in facts] == questions
        assert [(fact.role, fact.rev, fact.room_type) for fact in facts] == [
            ("member", 2, "private"),
            (None, 0, "public"),
            (None, 0, None),
            (None, 0, "private"),
            ("owner", 1, "public"),
            ("member", 2, "private"),
        ]

    async def test_a_thousand_questions_take_two_queries(
        self, rooms: Any, new_user: Any, ask: Any, database: Any
    ) -> None:
        owner = new_user()
        room_ids = [await rooms.create(owner) for _ in range(10)]
        body = {
            "memberships": [
                {"roomId": room_id, "userId": str(ObjectId()) if n else owner.id}
                for room_id in room_ids
                for n in range(100)
            ]
        }
        before = (await database.client.admin.command("serverStatus"))["opcounters"]["query"]
        response = await ask("POST", "/memberships/check", json=body)
        after = (await database.client.admin.command("serverStatus"))["opcounters"]["query"]
        facts = response.json()["memberships"]
        assert [fact["role"] for fact in facts] == (["owner"] + [None] * 99) * 10
        # Beside our two there may be some of the outbox and the cleaner.
        assert after - before < 20

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"memberships": [{"roomId": "x", "userId": "0" * 24}]},
            {"memberships": [{"roomId": "0" * 24, "userId": {"$ne": None}}]},
            {"memberships": [{"roomId": "0" * 24, "userId": "0" * 24}] * 1001},
            {"memberships": [], "more": 1},
        ],
    )
    async def test_questions_are_checked_and_bounded(self, ask: Any, body: dict[str, Any]) -> None:
        assert (await ask("POST", "/memberships/check", json=body)).status_code == 400

    async def test_no_questions_have_no_answers(self, ask: Any) -> None:
        response = await ask("POST", "/memberships/check", json={"memberships": []})
        assert response.json() == {"memberships": []}


ROOM = {
    "roomName": "Room",
    "searchName": "room",
    "roomType": "private",
    "description": "",
    "createdBy": ObjectId(),
    "memberCount": 1,
    "members": [],
    "rev": 1,
    "lastSeq": 0,
    "lastMessageAt": None,
    "activeAt": None,
    "createdAt": None,
    "updatedAt": None,
}
MEMBERSHIP = {"role": "member", "rev": 1, "joinedAt": None, "lastReadSeq": 0}
