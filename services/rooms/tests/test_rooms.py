"""Creating, showing, changing and deleting rooms."""

from typing import Any

import pytest
from bson import ObjectId
from chat_shared.testing import ApiClient, eventually

PUBLIC_FIELDS = {
    "id",
    "_id",
    "roomName",
    "roomType",
    "description",
    "createdBy",
    "members",
    "memberCount",
    "createdAt",
    "updatedAt",
}
MEMBER_FIELDS = PUBLIC_FIELDS | {"role", "lastSeq", "lastMessageAt", "unread"}
UNKNOWN = "0" * 24


class TestCreate:
    @pytest.mark.parametrize("path", ["/room", "/room/"])
    async def test_answers_with_the_room(self, api: ApiClient, new_user: Any, path: str) -> None:
        owner = new_user()
        body = {"roomName": "  Hikers ", "roomType": "private", "description": "Where?\nWhen?"}
        room = await api.data("POST", path, owner, json=body, status=201)
        assert set(room) == MEMBER_FIELDS
        assert room["id"] == room["_id"]
        assert (room["roomName"], room["roomType"]) == ("Hikers", "private")
        assert room["description"] == "Where?\nWhen?"
        assert (room["createdBy"], room["members"], room["memberCount"]) == (owner.id, [owner.id], 1)
        assert (room["role"], room["lastSeq"], room["lastMessageAt"], room["unread"]) == ("owner", 0, None, 0)

    async def test_is_public_and_undescribed_unless_said_otherwise(
        self, api: ApiClient, new_user: Any
    ) -> None:
        room = await api.data("POST", "/room", new_user(), json={"roomName": "Hi"}, status=201)
        assert (room["roomType"], room["description"]) == ("public", "")

    async def test_tells_of_the_room_and_its_owner(self, rooms: Any, broker: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        assert sorted(await broker.keys_about(room_id, 2)) == ["member.joined.v1", "room.created.v1"]
        joined = next(event for event in broker.about(room_id) if event.key == "member.joined.v1")
        assert (joined.user_id, joined.role, joined.member_count, joined.rev) == (owner.id, "owner", 1, 1)


class TestGet:
    async def test_shows_a_member_more_than_an_outsider(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        assert set(await api.data("GET", f"/room/{room_id}", owner)) == MEMBER_FIELDS
        assert set(await api.data("GET", f"/room/{room_id}", new_user())) == PUBLIC_FIELDS

    async def test_a_private_room_is_like_none_to_outsiders(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        outsider = new_user()
        room_id = await rooms.create(new_user(), "private")
        hidden = await api.refused("GET", f"/room/{room_id}", outsider, status=404, code="room_not_found")
        absent = await api.refused("GET", f"/room/{UNKNOWN}", outsider, status=404, code="room_not_found")
        assert hidden.model_dump(exclude={"instance"}) == absent.model_dump(exclude={"instance"})


class TestUpdate:
    async def test_changes_what_was_named_and_nothing_else(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner, name="Before")
        admin = await rooms.add(room_id, owner, "admin")
        before = await api.data("GET", f"/room/{room_id}", admin)
        after = await api.data("PATCH", f"/room/{room_id}", admin, json={"roomName": "After"})
        assert after.pop("updatedAt") >= before.pop("updatedAt")
        assert after == {**before, "roomName": "After"}
        await broker.keys_about(room_id, 4)
        updated = broker.about(room_id)[-1]
        assert (updated.key, updated.room_name, updated.rev) == ("room.updated.v1", "After", 3)

    async def test_a_room_that_became_private_is_gone_for_outsiders(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner, outsider = new_user(), new_user()
        room_id = await rooms.create(owner, name="Soon hidden")
        await api.data("PATCH", f"/room/{room_id}", owner, json={"roomType": "private"})
        await api.refused("GET", f"/room/{room_id}", outsider, status=404, code="room_not_found")
        await api.refused("POST", f"/room/{room_id}/join", outsider, status=404, code="room_not_found")

    @pytest.mark.parametrize("body", [{}, {"roomName": None}])
    async def test_refuses_to_change_nothing(
        self, api: ApiClient, rooms: Any, new_user: Any, body: dict[str, Any]
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await api.refused("PATCH", f"/room/{room_id}", owner, status=400, code="validation_failed", json=body)


class TestDelete:
    async def test_the_room_is_gone_for_everybody(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, ask: Any, database: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}", owner)
        for user in (owner, member):
            await api.refused("GET", f"/room/{room_id}", user, status=404, code="room_not_found")
            assert await api.data("GET", "/room", user) == []
            assert (await ask("GET", f"/users/{user.id}/rooms")).json() == {"rooms": []}
        keys = await broker.keys_about(room_id, 4)
        assert keys[-1] == "room.deleted.v1"
        assert "member.left.v1" not in keys
        assert await database.memberships.count_documents({"roomId": ObjectId(room_id)}) == 0

    async def test_a_large_room_is_gone_at_once_and_cleared_later(
        self, api: ApiClient, rooms: Any, new_user: Any, ask: Any, database: Any, crowd: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        users = await crowd(room_id, 2500)
        await api.data("DELETE", f"/room/{room_id}", owner)
        question = {"memberships": [{"roomId": room_id, "userId": user_id} for user_id in users[:10]]}
        facts = (await ask("POST", "/memberships/check", json=question)).json()["memberships"]
        assert [(fact["role"], fact["roomType"], fact["rev"]) for fact in facts] == [(None, None, 0)] * 10
        assert (await ask("GET", f"/users/{users[0]}/rooms")).json() == {"rooms": []}

        async def is_cleared() -> bool:
            return not await database.deleted_rooms.count_documents({})

        await eventually(is_cleared, 20)
        assert await database.memberships.count_documents({"roomId": ObjectId(room_id)}) == 0

    async def test_what_a_crash_left_is_cleared_by_the_next_process(
        self, start_rooms: Any, database: Any, crowd: Any
    ) -> None:
        room_id = ObjectId()
        await crowd(str(room_id), 1200)
        await database.deleted_rooms.insert_one({"_id": room_id})

        async def is_cleared() -> bool:
            return not await database.memberships.count_documents({"roomId": room_id})

        async with start_rooms("rooms-3"):
            await eventually(is_cleared, 5)
