"""Lists: complete, in order, without doubles, page by page."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from chat_shared.contracts.events import AppendedEntry, MessagesAppended, RoomAppended
from chat_shared.testing import ApiClient, User, eventually


async def pages(api: ApiClient, path: str, user: User | None, limit: int, **params: str) -> list[list[Any]]:
    """Return all pages of a list."""
    found, query = [], {"limit": str(limit), **params}
    while True:
        body = await api.call("GET", path, user, params=query)
        found.append(body["data"])
        if body["meta"]["next"] is None:
            return found
        query["after"] = body["meta"]["next"]


def flat(found: list[list[Any]], field: str) -> list[str]:
    """Return one field of all entries."""
    return [entry[field] for page in found for entry in page]


class TestMyRooms:
    async def test_pages_are_complete_and_most_recent_first(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        user = new_user()
        room_ids = [await rooms.create(user, name=f"Room {n}") for n in range(7)]
        entry = AppendedEntry(
            message_id=str(ObjectId()),
            seq=1,
            sender_id=new_user().id,
            created_at=datetime.now(UTC),
        )
        await broker.say(MessagesAppended(rooms=[RoomAppended(room_id=room_ids[2], entries=[entry])]))

        async def is_first() -> bool:
            return bool((await api.data("GET", "/room", user))[0]["id"] == room_ids[2])

        await eventually(is_first, 10)
        expected = [room_ids[2], *[room_ids[n] for n in (6, 5, 4, 3, 1, 0)]]
        for limit in (1, 2, 3, 6, 7, 8):
            found = await pages(api, "/room", user, limit)
            assert flat(found, "id") == expected
            assert all(len(page) == limit for page in found[:-1])
            assert found[-1], "no empty page at the end"

    async def test_rooms_of_the_same_moment_are_all_there(
        self, api: ApiClient, rooms: Any, new_user: Any, database: Any
    ) -> None:
        user = new_user()
        room_ids = [await rooms.create(user) for _ in range(6)]
        moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        query = {"_id": {"$in": [ObjectId(room_id) for room_id in room_ids]}}
        await database.rooms.update_many(query, {"$set": {"activeAt": moment}})
        found = flat(await pages(api, "/room", user, 2), "id")
        assert sorted(found) == sorted(room_ids)

    async def test_a_user_without_rooms_has_an_empty_page(self, api: ApiClient, new_user: Any) -> None:
        body = await api.call("GET", "/room", new_user())
        assert (body["data"], body["meta"]) == ([], {"next": None})


class TestPublicRooms:
    async def test_pages_are_complete_and_newest_first(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner, word = new_user(), str(ObjectId())
        room_ids = [await rooms.create(owner, name=f"{word} {n}") for n in range(5)]
        await rooms.create(owner, "private", name=f"{word} hidden")
        for limit in (1, 2, 5, 6):
            assert flat(await pages(api, "/room/public", None, limit, q=word), "id") == room_ids[::-1]

    @pytest.mark.parametrize(
        "search", ["Straße am Fluß", "STRASSE", "straße", "am fluss", "\uff33traße", "  fluß  "]
    )
    async def test_case_and_width_do_not_matter(
        self, api: ApiClient, rooms: Any, new_user: Any, search: str
    ) -> None:
        room_id = await rooms.create(new_user(), name="Straße am Fluß")
        assert room_id in flat(await pages(api, "/room/public", None, 100, q=search), "id")

    @pytest.mark.parametrize("search", [".*", "(a+)+$", "[a-z]", "^A", "A room$", "\\", "$ne", "(?i)a", "#"])
    async def test_a_search_is_text_and_no_pattern(
        self, api: ApiClient, rooms: Any, new_user: Any, search: str
    ) -> None:
        plain = await rooms.create(new_user(), name="A room")
        named = await rooms.create(new_user(), name=f"Odd {search} name")
        found = flat(await pages(api, "/room/public", None, 100, q=search), "id")
        assert named in found
        assert plain not in found

    @pytest.mark.parametrize("search", ["", "   ", "x" * 81, "x" * 10_000, "a\x00b", "a\nb"])
    async def test_a_search_is_bounded(self, api: ApiClient, search: str) -> None:
        await api.refused("GET", "/room/public", status=400, code="validation_failed", params={"q": search})

    async def test_a_search_through_many_names_is_quick_or_refused(
        self, api: ApiClient, database: Any
    ) -> None:
        moment = datetime(2020, 1, 1, tzinfo=UTC)
        names = [str(ObjectId()) for _ in range(30_000)]
        await database.rooms.insert_many(
            {"roomName": name, "searchName": name, "roomType": "public", "createdAt": moment}
            for name in names
        )
        try:
            response = await api.send("GET", "/room/public", params={"q": "(a+)+$"})
            assert response.elapsed.total_seconds() < 1
            assert response.status_code == 200
        finally:
            await database.rooms.delete_many({"createdAt": moment})


class TestMembers:
    async def test_pages_are_complete_and_in_order_of_joining(
        self, api: ApiClient, rooms: Any, new_user: Any, crowd: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        users = [owner.id, *await crowd(room_id, 23)]
        for limit in (1, 5, 8, 24, 100):
            found = await pages(api, f"/room/{room_id}/members", owner, limit)
            assert flat(found, "userId") == users
            assert found[-1]
        assert set(found[0][0]) == {"userId", "role", "joinedAt"}

    async def test_members_of_the_same_moment_are_all_there(
        self, api: ApiClient, rooms: Any, new_user: Any, crowd: Any, database: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        users = await crowd(room_id, 9)
        moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        await database.memberships.update_many({"roomId": ObjectId(room_id)}, {"$set": {"joinedAt": moment}})
        found = flat(await pages(api, f"/room/{room_id}/members", owner, 2), "userId")
        assert sorted(found) == sorted([owner.id, *users])

    async def test_a_room_lists_its_first_hundred_itself(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        users = [await rooms.add(room_id, owner) for _ in range(101)]
        room = await api.data("GET", f"/room/{room_id}", owner)
        assert room["members"] == [owner.id, *[user.id for user in users[:99]]]
        assert room["memberCount"] == 102


@pytest.mark.parametrize("path", ["/room", "/room/public", "/room/{room_id}/members"])
class TestQuery:
    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "9" * 30, ""])
    async def test_the_size_of_a_page_is_bounded(
        self, api: ApiClient, rooms: Any, new_user: Any, path: str, limit: str
    ) -> None:
        owner = new_user()
        address = path.format(room_id=await rooms.create(owner))
        await api.refused(
            "GET", address, owner, status=400, code="validation_failed", params={"limit": limit}
        )

    @pytest.mark.parametrize(
        "cursor", ["", "x", "eHg", "%00", "é", "a" * 65, "LTEuNjY1ZjFjMmFiN2UwYTFmMmQzYzRiNWE2", "{}"]
    )
    async def test_a_cursor_is_one_of_ours(
        self, api: ApiClient, rooms: Any, new_user: Any, path: str, cursor: str
    ) -> None:
        owner = new_user()
        address = path.format(room_id=await rooms.create(owner))
        await api.refused(
            "GET", address, owner, status=400, code="validation_failed", params={"after": cursor}
        )
