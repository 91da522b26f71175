"""Rooms: creating, listing, showing, changing and deleting them."""

import secrets
from typing import Any

import pytest
from chat_shared.testing import (
    MY_ROOM_FIELDS,
    ROOM_FIELDS,
    ApiClient,
    NewRoom,
    NewUser,
    User,
    check_entity,
    eventually,
)

UNKNOWN = "0" * 24


class TestCreate:
    """POST /room and /room/"""

    @pytest.mark.parametrize("path", ["/room", "/room/"])
    async def test_valid(self, api: ApiClient, alice: User, path: str) -> None:
        body = {"roomName": "Weekend hikes", "roomType": "private", "description": "Who drives?"}
        answer = await api.call("POST", path, alice, status=201, json=body)
        room = answer["data"]
        check_entity(room, MY_ROOM_FIELDS)
        assert {name: room[name] for name in body} == body
        assert (room["createdBy"], room["members"], room["memberCount"]) == (alice.id, [alice.id], 1)
        assert (room["role"], room["lastSeq"], room["lastMessageAt"], room["unread"]) == ("owner", 0, None, 0)

    async def test_type_and_description_are_optional(self, api: ApiClient, alice: User) -> None:
        room = await api.data("POST", "/room", alice, status=201, json={"roomName": "lobby"})
        assert (room["roomType"], room["description"]) == ("public", "")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("roomName", "x"),
            ("roomName", " x "),
            ("roomName", "x" * 81),
            ("roomName", "two\nlines"),
            ("roomName", {"$gt": ""}),
            ("roomType", "secret"),
            ("description", "x" * 351),
            ("createdBy", UNKNOWN),
            ("members", [UNKNOWN]),
        ],
    )
    async def test_bad_field(self, api: ApiClient, alice: User, field: str, value: Any) -> None:
        body = {"roomName": "lobby", field: value}
        problem = await api.refused("POST", "/room", alice, status=400, code="validation_failed", json=body)
        assert [error.field.split(".")[0] for error in problem.errors] == [field]


class TestMyRooms:
    """GET /room and /room/"""

    @pytest.mark.parametrize("path", ["/room", "/room/"])
    async def test_all_of_mine_and_no_others(
        self, api: ApiClient, new_user: NewUser, new_room: NewRoom, bob: User, path: str
    ) -> None:
        user = await new_user()
        own = await new_room(user, roomType="private")
        joined = await new_room(bob, user)
        await new_room(bob)
        rooms = await api.data("GET", path, user)
        assert {(room["id"], room["role"]) for room in rooms} == {
            (own["id"], "owner"),
            (joined["id"], "member"),
        }
        for room in rooms:
            check_entity(room, MY_ROOM_FIELDS)

    async def test_pages(self, api: ApiClient, new_user: NewUser, new_room: NewRoom) -> None:
        user = await new_user()
        made = [(await new_room(user))["id"] for _ in range(5)]
        seen: list[str] = []
        cursor: str | None = None
        for expected in (2, 2, 1):
            params = {"limit": "2", **({"after": cursor} if cursor else {})}
            page = await api.call("GET", "/room", user, params=params)
            assert len(page["data"]) == expected
            seen += [room["id"] for room in page["data"]]
            cursor = page["meta"]["next"]
        assert cursor is None
        assert seen == made[::-1], "most recent activity first"

    async def test_unread_follows_the_log(self, api: ApiClient, new_user: NewUser, new_room: NewRoom) -> None:
        writer, reader = await new_user(), await new_user()
        room = await new_room(writer, reader)
        for text in ("one", "two"):
            await api.call("POST", f"/room/{room['id']}/messages", writer, status=201, json={"content": text})

        async def standing() -> dict[str, Any]:
            rooms: list[dict[str, Any]] = await api.data("GET", "/room", reader)
            assert rooms[0]["lastSeq"] == 2
            return rooms[0]

        seen = await eventually(standing, what="rooms knows of both messages")
        assert (seen["id"], seen["unread"]) == (room["id"], 2)
        assert seen["lastMessageAt"] is not None

    @pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"after": "%%%"}])
    async def test_bad_page(self, api: ApiClient, alice: User, params: dict[str, str]) -> None:
        problem = await api.refused(
            "GET", "/room", alice, status=400, code="validation_failed", params=params
        )
        assert len(problem.errors) == 1


class TestPublicRooms:
    """GET /room/public"""

    async def test_without_a_login(self, api: ApiClient, new_room: NewRoom, alice: User) -> None:
        word = secrets.token_hex(6)
        first = await new_room(alice, roomName=f"Public {word} 1")
        second = await new_room(alice, roomName=f"Public {word.upper()} 2")
        await new_room(alice, roomName=f"Private {word}", roomType="private")
        page = await api.call("GET", "/room/public", params={"q": word})
        assert [room["id"] for room in page["data"]] == [second["id"], first["id"]]
        for room in page["data"]:
            check_entity(room, ROOM_FIELDS)

        params = {"q": word, "limit": "1"}
        page = await api.call("GET", "/room/public", params=params)
        assert [room["id"] for room in page["data"]] == [second["id"]]
        page = await api.call("GET", "/room/public", params={**params, "after": page["meta"]["next"]})
        assert [room["id"] for room in page["data"]] == [first["id"]]
        assert page["meta"]["next"] is None

    async def test_text_is_no_pattern(self, api: ApiClient) -> None:
        page = await api.call("GET", "/room/public", params={"q": ".*(a+)+$"})
        assert page["data"] == []

    @pytest.mark.parametrize(
        "params", [{"q": ""}, {"q": "x" * 81}, {"limit": "0"}, {"limit": "101"}, {"after": "e30"}]
    )
    async def test_bad_query(self, api: ApiClient, params: dict[str, str]) -> None:
        await api.refused("GET", "/room/public", status=400, code="validation_failed", params=params)


class TestOneRoom:
    """GET /room/{roomId}"""

    async def test_as_member_and_as_outsider(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob)
        seen = await api.data("GET", f"/room/{room['id']}", bob)
        check_entity(seen, MY_ROOM_FIELDS)
        assert (seen["role"], seen["members"], seen["memberCount"]) == ("member", [alice.id, bob.id], 2)
        check_entity(await api.data("GET", f"/room/{room['id']}", carol), ROOM_FIELDS)

    async def test_private_is_unknown_to_outsiders(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room = await new_room(alice, roomType="private")
        await api.call("GET", f"/room/{room['id']}", alice)
        hidden = await api.refused("GET", f"/room/{room['id']}", bob, status=404, code="room_not_found")
        unknown = await api.refused("GET", f"/room/{UNKNOWN}", bob, status=404, code="room_not_found")
        assert hidden.model_copy(update={"instance": None}) == unknown.model_copy(update={"instance": None})


class TestUpdate:
    """PATCH /room/{roomId}"""

    async def test_by_owner_and_admin(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room = await new_room(alice)
        path = f"/room/{room['id']}"
        changed = await api.data("PATCH", path, alice, json={"roomName": "New name"})
        check_entity(changed, MY_ROOM_FIELDS)
        assert (changed["roomName"], changed["description"]) == ("New name", "")
        assert changed["updatedAt"] >= room["updatedAt"]
        admin = {"userId": bob.id, "role": "admin"}
        await api.call("POST", f"{path}/members", alice, status=201, json=admin)
        await api.call("PATCH", path, bob, json={"description": "by an admin", "roomType": "private"})
        seen = await api.data("GET", path, alice)
        assert (seen["description"], seen["roomType"]) == ("by an admin", "private")

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        public, private = await new_room(alice, bob), await new_room(alice, bob, roomType="private")
        change = {"json": {"roomName": "taken over"}}
        for room, user, status, code in (
            (public, bob, 403, "role_too_low"),
            (public, carol, 403, "not_a_member"),
            (private, bob, 403, "role_too_low"),
            (private, carol, 404, "room_not_found"),
            ({"id": UNKNOWN}, alice, 404, "room_not_found"),
        ):
            await api.refused("PATCH", f"/room/{room['id']}", user, status=status, code=code, **change)
        assert (await api.data("GET", f"/room/{public['id']}", alice))["roomName"] == public["roomName"]

    @pytest.mark.parametrize(
        "body", [{}, {"roomName": "x"}, {"roomType": "open"}, {"owner": UNKNOWN}, {"memberCount": 3}]
    )
    async def test_bad_body(
        self, api: ApiClient, new_room: NewRoom, alice: User, body: dict[str, Any]
    ) -> None:
        room = await new_room(alice)
        problem = await api.refused(
            "PATCH", f"/room/{room['id']}", alice, status=400, code="validation_failed", json=body
        )
        assert problem.errors


class TestDelete:
    """DELETE /room/{roomId}"""

    async def test_by_the_owner(self, api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}"
        await api.call("POST", f"{path}/messages", bob, status=201, json={"content": "last words"})
        assert await api.data("DELETE", path, alice) is None
        for user in (alice, bob):
            await api.refused("GET", path, user, status=404, code="room_not_found")
            assert room["id"] not in [mine["id"] for mine in await api.data("GET", "/room", user)]

        async def history_is_gone() -> bool:
            return (await api.send("GET", f"{path}/messages", bob)).status_code == 404

        await eventually(history_is_gone, timeout=2, what="messaging heard of the deletion")

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}"
        admin = {"role": "admin"}
        await api.call("PATCH", f"{path}/members/{bob.id}", alice, json=admin)
        await api.refused("DELETE", path, bob, status=403, code="role_too_low")
        await api.refused("DELETE", path, carol, status=403, code="not_a_member")
        private = await new_room(alice, roomType="private")
        await api.refused("DELETE", f"/room/{private['id']}", carol, status=404, code="room_not_found")
        await api.call("GET", path, alice)


class TestRead:
    """POST /room/{roomId}/read"""

    async def test_moves_forward_only(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User
    ) -> None:
        room = await new_room(alice, bob)
        path = f"/room/{room['id']}"
        for text in ("one", "two", "three"):
            await api.call("POST", f"{path}/messages", alice, status=201, json={"content": text})

        async def marked() -> dict[str, Any]:
            response = await api.send("POST", f"{path}/read", bob, json={"seq": 2})
            assert response.status_code == 200, response.text
            body: dict[str, Any] = response.json()["data"]
            return body

        read = await eventually(marked, what="rooms knows of the messages")
        assert read["lastReadSeq"] == 2
        assert read["unread"] == read["lastSeq"] - 2
        back = await api.data("POST", f"{path}/read", bob, json={"seq": 1})
        assert back["lastReadSeq"] == 2

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room, private = await new_room(alice, bob), await new_room(alice, roomType="private")
        path = f"/room/{room['id']}/read"
        await api.refused("POST", path, bob, status=400, code="seq_beyond_head", json={"seq": 99})
        for body in ({"seq": -1}, {"seq": "1"}, {}, {"seq": 0, "userId": carol.id}):
            await api.refused("POST", path, bob, status=400, code="validation_failed", json=body)
        await api.refused("POST", path, carol, status=403, code="not_a_member", json={"seq": 0})
        hidden = f"/room/{private['id']}/read"
        await api.refused("POST", hidden, carol, status=404, code="room_not_found", json={"seq": 0})
