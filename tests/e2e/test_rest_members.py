"""Members of rooms: joining, leaving, adding, removing, roles."""

from typing import Any

import pytest
from chat_shared.testing import MY_ROOM_FIELDS, ApiClient, NewRoom, NewUser, User, check_entity, is_timestamp

UNKNOWN = "0" * 24


async def roles(api: ApiClient, room: dict[str, Any], user: User) -> dict[str, str]:
    """Return the role of each member, as `user` sees them."""
    members = await api.data("GET", f"/room/{room['id']}/members", user)
    return {member["userId"]: member["role"] for member in members}


class TestJoin:
    """POST /room/{roomId}/join"""

    async def test_public(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice)
        joined = await api.data("POST", f"/room/{room['id']}/join", bob)
        check_entity(joined, MY_ROOM_FIELDS)
        assert (joined["role"], joined["memberCount"]) == ("member", 2)
        assert joined["members"] == [alice.id, bob.id]

    async def test_twice(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice, bob)
        for user in (alice, bob):
            await api.refused("POST", f"/room/{room['id']}/join", user, status=409, code="already_member")

    async def test_private(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice, roomType="private")
        await api.refused("POST", f"/room/{room['id']}/join", bob, status=404, code="room_not_found")
        assert await roles(api, room, alice) == {alice.id: "owner"}

    async def test_unknown(self, api: ApiClient, alice: User) -> None:
        await api.refused("POST", f"/room/{UNKNOWN}/join", alice, status=404, code="room_not_found")
        await api.refused("POST", "/room/not-an-id/join", alice, status=400, code="validation_failed")


class TestLeave:
    """DELETE /room/{roomId}/members"""

    async def test_member(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}/members"
        assert await api.data("DELETE", path, bob) is None
        assert await roles(api, room, alice) == {alice.id: "owner"}
        await api.refused("DELETE", path, bob, status=403, code="not_a_member")
        await api.call("POST", f"/room/{room['id']}/join", bob)

    async def test_owner_hands_over_to_an_admin_first(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob, carol)
        path = f"/room/{room['id']}/members"
        await api.call("PATCH", f"{path}/{carol.id}", alice, json={"role": "admin"})
        await api.call("DELETE", path, alice)
        assert await roles(api, room, bob) == {bob.id: "member", carol.id: "owner"}
        assert (await api.data("GET", f"/room/{room['id']}", bob))["createdBy"] == carol.id

    async def test_owner_hands_over_to_the_longest_standing_member(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob, carol)
        await api.call("DELETE", f"/room/{room['id']}/members", alice)
        assert await roles(api, room, bob) == {bob.id: "owner", carol.id: "member"}

    async def test_the_last_one_out_deletes_the_room(
        self, api: ApiClient, new_room: NewRoom, alice: User
    ) -> None:
        room = await new_room(alice)
        await api.call("DELETE", f"/room/{room['id']}/members", alice)
        await api.refused("GET", f"/room/{room['id']}", alice, status=404, code="room_not_found")

    async def test_outsider(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room, private = await new_room(alice), await new_room(alice, roomType="private")
        await api.refused("DELETE", f"/room/{room['id']}/members", bob, status=403, code="not_a_member")
        await api.refused("DELETE", f"/room/{private['id']}/members", bob, status=404, code="room_not_found")


class TestList:
    """GET /room/{roomId}/members"""

    async def test_in_order_of_joining(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, carol, bob)
        seen: list[dict[str, Any]] = []
        params = {"limit": "2"}
        while True:
            page = await api.call("GET", f"/room/{room['id']}/members", bob, params=params)
            seen += page["data"]
            if page["meta"]["next"] is None:
                break
            params["after"] = page["meta"]["next"]
        assert [member["userId"] for member in seen] == [alice.id, carol.id, bob.id]
        for member in seen:
            assert set(member) == {"userId", "role", "joinedAt"}
            assert is_timestamp(member["joinedAt"])

    async def test_outsider(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room, private = await new_room(alice), await new_room(alice, roomType="private")
        await api.refused("GET", f"/room/{room['id']}/members", bob, status=403, code="not_a_member")
        await api.refused("GET", f"/room/{private['id']}/members", bob, status=404, code="room_not_found")


class TestAdd:
    """POST /room/{roomId}/members"""

    async def test_into_a_private_room(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room = await new_room(alice, roomType="private")
        body = {"userId": bob.id, "role": "admin"}
        member = await api.data("POST", f"/room/{room['id']}/members", alice, status=201, json=body)
        assert (member["userId"], member["role"]) == (bob.id, "admin")
        await api.call("GET", f"/room/{room['id']}", bob)

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, new_user: NewUser, alice: User, bob: User, carol: User
    ) -> None:
        room, private = await new_room(alice, bob), await new_room(alice, roomType="private")
        path, hidden = f"/room/{room['id']}/members", f"/room/{private['id']}/members"
        new = {"json": {"userId": carol.id}}
        await api.refused("POST", path, bob, status=403, code="role_too_low", **new)
        await api.refused("POST", path, carol, status=403, code="not_a_member", **new)
        await api.refused("POST", hidden, carol, status=404, code="room_not_found", **new)
        again = {"json": {"userId": bob.id}}
        await api.refused("POST", path, alice, status=409, code="already_member", **again)
        nobody = {"json": {"userId": UNKNOWN}}
        await api.refused("POST", path, alice, status=404, code="user_not_found", **nobody)
        await api.call("PATCH", f"{path}/{bob.id}", alice, json={"role": "admin"})
        admin = {"json": {"userId": carol.id, "role": "admin"}}
        await api.refused("POST", path, bob, status=403, code="role_too_low", **admin)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"userId": "x"},
            {"userId": UNKNOWN, "role": "owner"},
            {"userId": UNKNOWN, "rev": 1},
            {"userId": {"$ne": 1}},
        ],
    )
    async def test_bad_body(
        self, api: ApiClient, new_room: NewRoom, alice: User, body: dict[str, Any]
    ) -> None:
        room = await new_room(alice)
        path = f"/room/{room['id']}/members"
        await api.refused("POST", path, alice, status=400, code="validation_failed", json=body)


class TestChangeRole:
    """PATCH /room/{roomId}/members/{userId}"""

    async def test_hand_over(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}/members/{bob.id}"
        changed = await api.data("PATCH", path, alice, json={"role": "owner"})
        assert changed["role"] == "owner"
        assert await roles(api, room, bob) == {alice.id: "admin", bob.id: "owner"}

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}/members"
        admin = {"json": {"role": "admin"}}
        await api.refused("PATCH", f"{path}/{bob.id}", bob, status=403, code="role_too_low", **admin)
        await api.refused("PATCH", f"{path}/{alice.id}", alice, status=403, code="owner_stays", **admin)
        await api.refused("PATCH", f"{path}/{carol.id}", alice, status=404, code="member_not_found", **admin)
        bad = {"json": {"role": "king"}}
        await api.refused("PATCH", f"{path}/{bob.id}", alice, status=400, code="validation_failed", **bad)


class TestRemove:
    """DELETE /room/{roomId}/members/{userId}"""

    async def test_by_owner_and_admin(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob, carol)
        path = f"/room/{room['id']}/members"
        await api.call("PATCH", f"{path}/{bob.id}", alice, json={"role": "admin"})
        assert await api.data("DELETE", f"{path}/{carol.id}", bob) is None
        await api.call("DELETE", f"{path}/{bob.id}", alice)
        assert await roles(api, room, alice) == {alice.id: "owner"}

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}/members"
        await api.refused("DELETE", f"{path}/{alice.id}", bob, status=403, code="role_too_low")
        await api.refused("DELETE", f"{path}/{bob.id}", carol, status=403, code="not_a_member")
        await api.refused("DELETE", f"{path}/{alice.id}", alice, status=403, code="owner_stays")
        await api.refused("DELETE", f"{path}/{carol.id}", alice, status=404, code="member_not_found")
        await api.call("PATCH", f"{path}/{bob.id}", alice, json={"role": "admin"})
        await api.refused("DELETE", f"{path}/{alice.id}", bob, status=403, code="role_too_low")
