"""Entering rooms, and roles in them."""

from typing import Any

import pytest
from chat_shared.testing import ApiClient

UNKNOWN = "0" * 24


class TestJoin:
    async def test_answers_with_the_room_as_its_members_see_it(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner, user = new_user(), new_user()
        room_id = await rooms.create(owner)
        room = await api.data("POST", f"/room/{room_id}/join", user)
        assert (room["role"], room["memberCount"], room["unread"]) == ("member", 2, 0)
        assert room["members"] == [owner.id, user.id]
        await broker.keys_about(room_id, 3)
        joined = broker.about(room_id)[-1]
        assert (joined.key, joined.user_id, joined.role) == ("member.joined.v1", user.id, "member")
        assert (joined.member_count, joined.rev) == (2, 2)

    async def test_twice_is_a_conflict(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        user = new_user()
        room_id = await rooms.create(new_user())
        await api.data("POST", f"/room/{room_id}/join", user)
        await api.refused("POST", f"/room/{room_id}/join", user, status=409, code="already_member")
        assert (await api.data("GET", f"/room/{room_id}", user))["memberCount"] == 2

    async def test_again_after_leaving(self, api: ApiClient, rooms: Any, new_user: Any, ask: Any) -> None:
        user = new_user()
        room_id = await rooms.create(new_user())
        await api.data("POST", f"/room/{room_id}/join", user)
        await api.data("DELETE", f"/room/{room_id}/members", user)
        await api.data("POST", f"/room/{room_id}/join", user)
        room = (await ask("GET", f"/users/{user.id}/rooms")).json()["rooms"][0]
        assert (room["rev"], room["memberCount"]) == (4, 2)


class TestAdd:
    async def test_an_admin_adds_members_but_no_admins(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner, "private")
        admin = await rooms.add(room_id, owner, "admin")
        member = await rooms.add(room_id, admin)
        body = {"userId": new_user().id, "role": "admin"}
        await api.refused(
            "POST", f"/room/{room_id}/members", admin, status=403, code="role_too_low", json=body
        )
        assert await rooms.members(room_id, member) == {
            owner.id: "owner",
            admin.id: "admin",
            member.id: "member",
        }

    async def test_nobody_is_made_an_owner_by_adding(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        body = {"userId": new_user().id, "role": "owner"}
        await api.refused(
            "POST", f"/room/{room_id}/members", owner, status=400, code="validation_failed", json=body
        )

    async def test_a_member_cannot_be_added_again(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        body = {"userId": owner.id}
        await api.refused(
            "POST", f"/room/{room_id}/members", owner, status=409, code="already_member", json=body
        )

    async def test_the_user_has_to_exist(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        body = {"userId": UNKNOWN}
        await api.refused(
            "POST", f"/room/{room_id}/members", owner, status=404, code="user_not_found", json=body
        )

    async def test_waits_for_auth(self, api: ApiClient, rooms: Any, neighbours: Any, new_user: Any) -> None:
        owner, user = new_user(), new_user()
        room_id = await rooms.create(owner)
        await neighbours.go_away("auth")
        try:
            problem = await api.refused(
                "POST",
                f"/room/{room_id}/members",
                owner,
                status=503,
                code="unavailable",
                json={"userId": user.id},
            )
        finally:
            await neighbours.come_back("auth")
        assert problem.retryable
        await rooms.add(room_id, owner, user=user)


class TestRemove:
    async def test_tells_who_was_removed(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}/members/{member.id}", owner)
        await broker.keys_about(room_id, 4)
        left = broker.about(room_id)[-1]
        assert (left.key, left.user_id, left.reason) == ("member.left.v1", member.id, "removed")
        assert (left.member_count, left.rev) == (1, 3)

    async def test_an_admin_removes_members_only(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        admin, other = await rooms.add(room_id, owner, "admin"), await rooms.add(room_id, owner, "admin")
        for target in (owner, admin, other):
            await api.refused(
                "DELETE", f"/room/{room_id}/members/{target.id}", admin, status=403, code="role_too_low"
            )
        assert len(await rooms.members(room_id, owner)) == 3

    async def test_the_owner_removes_anybody_else(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        admin = await rooms.add(room_id, owner, "admin")
        await api.data("DELETE", f"/room/{room_id}/members/{admin.id}", owner)
        await api.refused(
            "DELETE", f"/room/{room_id}/members/{owner.id}", owner, status=403, code="owner_stays"
        )
        assert await rooms.members(room_id, owner) == {owner.id: "owner"}

    async def test_who_is_not_a_member_cannot_be_removed(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await api.refused(
            "DELETE", f"/room/{room_id}/members/{new_user().id}", owner, status=404, code="member_not_found"
        )


class TestChangeRole:
    async def test_makes_and_unmakes_admins(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        path = f"/room/{room_id}/members/{member.id}"
        for role in ("admin", "admin", "member"):
            changed = await api.data("PATCH", path, owner, json={"role": role})
            assert (changed["userId"], changed["role"]) == (member.id, role)
            assert (await rooms.members(room_id, owner))[member.id] == role

    async def test_hands_the_room_over(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any, ask: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        heir = await rooms.add(room_id, owner)
        await api.data("PATCH", f"/room/{room_id}/members/{heir.id}", owner, json={"role": "owner"})
        assert await rooms.members(room_id, heir) == {owner.id: "admin", heir.id: "owner"}
        assert (await api.data("GET", f"/room/{room_id}", heir))["createdBy"] == heir.id
        await api.refused("DELETE", f"/room/{room_id}", owner, status=403, code="role_too_low")
        keys = await broker.keys_about(room_id, 4)
        assert keys.count("member.joined.v1") == 2, "a change of roles is no entry"
        updated = broker.about(room_id)[-1]
        assert (updated.key, updated.created_by, updated.rev) == ("room.updated.v1", heir.id, 3)
        assert (await ask("GET", f"/users/{owner.id}/rooms")).json()["rooms"][0]["rev"] == 3

    @pytest.mark.parametrize("role", ["owner", "admin", "member"])
    async def test_the_owner_cannot_change_their_own_role(
        self, api: ApiClient, rooms: Any, new_user: Any, role: str
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        path = f"/room/{room_id}/members/{owner.id}"
        await api.refused("PATCH", path, owner, status=403, code="owner_stays", json={"role": role})

    async def test_who_is_not_a_member_gets_no_role(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        path = f"/room/{room_id}/members/{new_user().id}"
        await api.refused("PATCH", path, owner, status=404, code="member_not_found", json={"role": "owner"})


class TestBounds:
    async def test_a_room_has_room_for_so_many(self, start_rooms: Any, rooms: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        async with start_rooms("rooms-small", CHAT_MAX_MEMBERS_PER_ROOM="2") as api:
            await api.data("POST", f"/room/{room_id}/join", new_user())
            await api.refused("POST", f"/room/{room_id}/join", new_user(), status=409, code="room_full")
            body = {"userId": new_user().id}
            await api.refused(
                "POST", f"/room/{room_id}/members", owner, status=409, code="room_full", json=body
            )

    async def test_a_user_is_in_so_many_rooms_at_most(
        self, start_rooms: Any, rooms: Any, new_user: Any
    ) -> None:
        user, owner = new_user(), new_user()
        first, second, third = [await rooms.create(owner) for _ in range(3)]
        async with start_rooms("rooms-small", CHAT_MAX_ROOMS_PER_USER="2") as api:
            await api.data("POST", f"/room/{first}/join", user)
            await api.data("POST", f"/room/{second}/join", user)
            refusal = {"status": 409, "code": "too_many_rooms"}
            await api.refused("POST", f"/room/{third}/join", user, **refusal)
            await api.refused("POST", "/room", user, json={"roomName": "One more"}, **refusal)
            await api.refused("POST", f"/room/{third}/members", owner, json={"userId": user.id}, **refusal)
            await api.data("DELETE", f"/room/{first}/members", user)
            await api.data("POST", f"/room/{third}/join", user)

    async def test_a_user_creates_so_many_rooms_at_most(self, start_rooms: Any, new_user: Any) -> None:
        user, other = new_user(), new_user()
        async with start_rooms("rooms-small", CHAT_CREATE_ROOM_RATE="2/hour") as api:
            for _ in range(2):
                await api.data("POST", "/room", user, json={"roomName": "Another"}, status=201)
            response = await api.send("POST", "/room", user, json={"roomName": "Another"})
            assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
            assert int(response.headers["retry-after"]) > 3000
            await api.data("POST", "/room", other, json={"roomName": "Another"}, status=201)
