"""Leaving: who owns the room then, and what is left when nobody is."""

import asyncio
from typing import Any

from bson import ObjectId
from chat_shared.contracts.events import UserDeleted
from chat_shared.testing import ApiClient, eventually


class TestLeave:
    async def test_tells_who_left(self, api: ApiClient, rooms: Any, broker: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}/members", member)
        assert await rooms.members(room_id, owner) == {owner.id: "owner"}
        await broker.keys_about(room_id, 4)
        left = broker.about(room_id)[-1]
        assert (left.key, left.user_id, left.reason) == ("member.left.v1", member.id, "left")
        assert (left.member_count, left.rev) == (1, 3)

    async def test_twice_is_refused(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}/members", member)
        await api.refused("DELETE", f"/room/{room_id}/members", member, status=403, code="not_a_member")

    async def test_the_longest_standing_admin_inherits(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        heir = await rooms.add(room_id, owner, "admin")
        admin = await rooms.add(room_id, owner, "admin")
        await api.data("DELETE", f"/room/{room_id}/members", owner)
        assert await rooms.members(room_id, member) == {
            member.id: "member",
            heir.id: "owner",
            admin.id: "admin",
        }
        assert (await api.data("GET", f"/room/{room_id}", member))["createdBy"] == heir.id
        keys = await broker.keys_about(room_id, 7)
        assert sorted(keys[-2:]) == ["member.left.v1", "room.updated.v1"]
        updated = next(event for event in broker.about(room_id) if event.key == "room.updated.v1")
        assert (updated.created_by, updated.rev) == (heir.id, 5)

    async def test_without_admins_the_longest_standing_member_inherits(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        first, second = await rooms.add(room_id, owner), await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}/members", owner)
        assert await rooms.members(room_id, first) == {first.id: "owner", second.id: "member"}

    async def test_the_last_one_out_deletes_the_room(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, database: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await api.data("DELETE", f"/room/{room_id}/members", owner)
        await api.refused("GET", f"/room/{room_id}", owner, status=404, code="room_not_found")
        assert (await broker.keys_about(room_id, 3))[-1] == "room.deleted.v1"
        assert broker.about(room_id)[-1].rev == 2
        assert await database.memberships.count_documents({"roomId": ObjectId(room_id)}) == 0

    async def test_the_room_goes_on_listing_its_first_hundred(
        self, api: ApiClient, rooms: Any, new_user: Any, crowd: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        second = await rooms.add(room_id, owner)
        users = await crowd(room_id, 150)
        await api.data("DELETE", f"/room/{room_id}/members/{users[0]}", owner)
        room = await api.data("GET", f"/room/{room_id}", owner)
        assert room["members"] == [owner.id, second.id, *users[1:99]]
        assert room["memberCount"] == 151


class TestAccountDeleted:
    async def test_leaves_every_room_by_the_same_rules(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, ask: Any
    ) -> None:
        user, other = new_user(), new_user()
        alone, owned = await rooms.create(user), await rooms.create(user, "private")
        visited = await rooms.create(other)
        await rooms.add(owned, user, user=other)
        await rooms.add(visited, other, user=user)
        await broker.say(UserDeleted(user_id=user.id), UserDeleted(user_id=user.id))
        for room_id, keys in (
            (alone, ["room.deleted.v1"]),
            (owned, ["member.left.v1", "room.updated.v1"]),
            (visited, ["member.left.v1"]),
        ):
            heard = await broker.keys_about(room_id, 2 + (room_id != alone) + len(keys))
            assert sorted(heard[-len(keys) :]) == keys
        assert (await ask("GET", f"/users/{user.id}/rooms")).json() == {"rooms": []}
        assert await rooms.members(owned, other) == {other.id: "owner"}
        assert await rooms.members(visited, other) == {other.id: "owner"}
        left = [event for event in broker.about(visited) if event.key == "member.left.v1"]
        assert [event.reason for event in left] == ["account_deleted"]

    async def test_a_deleted_account_enters_no_room_again(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, database: Any
    ) -> None:
        user = new_user()
        room_id = await rooms.create(new_user())
        await broker.say(UserDeleted(user_id=user.id))

        async def is_closed() -> Any:
            return await database.users.find_one({"_id": ObjectId(user.id), "deletedAt": {"$exists": True}})

        await eventually(is_closed, 10)
        refusal = {"status": 404, "code": "user_not_found"}
        await api.refused("POST", f"/room/{room_id}/join", user, **refusal)
        await api.refused("POST", "/room", user, json={"roomName": "Ghosts"}, **refusal)

    async def test_joining_while_the_account_goes_leaves_no_trace(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, ask: Any, database: Any
    ) -> None:
        user, owner = new_user(), new_user()
        room_ids = [await rooms.create(owner) for _ in range(10)]
        await asyncio.gather(
            *(api.send("POST", f"/room/{room_id}/join", user) for room_id in room_ids[:5]),
            broker.say(UserDeleted(user_id=user.id)),
            *(api.send("POST", f"/room/{room_id}/join", user) for room_id in room_ids[5:]),
        )

        async def is_out() -> bool:
            return not await database.memberships.count_documents({"userId": ObjectId(user.id)})

        async def is_closed() -> Any:
            return await database.users.find_one({"_id": ObjectId(user.id), "deletedAt": {"$exists": True}})

        await eventually(is_closed, 10)
        await eventually(is_out, 10)
        for room_id in room_ids:
            assert await rooms.members(room_id, owner) == {owner.id: "owner"}
            assert (await api.data("GET", f"/room/{room_id}", owner))["memberCount"] == 1
