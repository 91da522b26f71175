"""POST /auth/register."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bson import ObjectId
from chat_shared.mongo import Document
from chat_shared.testing import ApiClient
from pymongo.asynchronous.database import AsyncDatabase

PASSWORD = "correct horse 42 battery"


def account(**fields: Any) -> dict[str, Any]:
    name = f"user_{secrets.token_hex(5)}"
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD, **fields}


class TestJson:
    async def test_profile_comes_back_in_the_agreed_form(self, auth: ApiClient) -> None:
        body = account(firstname=" Ada ", lastname="Lovelace")
        profile = await auth.data("POST", "/auth/register", status=201, json=body)
        assert profile == {
            "id": profile["_id"],
            "_id": profile["id"],
            "username": body["username"],
            "email": body["email"],
            "firstname": "Ada",
            "lastname": "Lovelace",
            "avatarUrl": None,
            "isOnline": False,
            "lastSeen": None,
            "createdAt": profile["createdAt"],
        }

    async def test_slash_at_the_end(self, auth: ApiClient) -> None:
        await auth.call("POST", "/auth/register/", status=201, json=account())

    async def test_logs_nobody_in(self, auth: ApiClient) -> None:
        response = await auth.send("POST", "/auth/register", json=account())
        assert response.status_code == 201
        assert "set-cookie" not in response.headers

    async def test_event_follows(self, auth: ApiClient, auth_events: Any) -> None:
        profile = await auth.data("POST", "/auth/register", status=201, json=account())
        event = await auth_events.wait_for("user.registered.v1", user_id=profile["id"])
        assert event.username == profile["username"]

    @pytest.mark.parametrize("field", ["username", "email"])
    async def test_taken_name_or_address_look_the_same(self, auth: ApiClient, field: str) -> None:
        first = account()
        await auth.call("POST", "/auth/register", status=201, json=first)
        again = account(**{field: first[field].upper()})
        problem = await auth.refused("POST", "/auth/register", json=again, status=409, code="account_taken")
        assert problem.message == "This username or email is taken"
        assert problem.errors == []

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("username", "ab"),
            ("username", "x" * 31),
            ("username", "a b c"),
            ("username", "ad\na"),
            ("email", "no address"),
            ("email", "x" * 250 + "@example.org"),
            ("password", "short77"),
            ("password", "x" * 129),
            ("password", "password1"),
            ("firstname", "x" * 51),
            ("lastname", "a\x00b"),
        ],
    )
    async def test_refused_field_is_named(self, auth: ApiClient, field: str, value: str) -> None:
        problem = await auth.refused(
            "POST", "/auth/register", json=account(**{field: value}), status=400, code="validation_failed"
        )
        assert [error.field for error in problem.errors] == [field]

    @pytest.mark.parametrize(
        "field", ["_id", "id", "role", "isOnline", "passwordHash", "avatarUrl", "$where"]
    )
    async def test_unknown_field_is_refused(self, auth: ApiClient, field: str) -> None:
        await auth.refused(
            "POST", "/auth/register", json=account(**{field: "x"}), status=400, code="validation_failed"
        )

    @pytest.mark.parametrize("field", ["username", "email", "password"])
    async def test_needed_field_is_missed(self, auth: ApiClient, field: str) -> None:
        body = {name: value for name, value in account().items() if name != field}
        problem = await auth.refused(
            "POST", "/auth/register", json=body, status=400, code="validation_failed"
        )
        assert [error.field for error in problem.errors] == [field]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"username": "\\ud800"}'])
    async def test_broken_body(self, auth: ApiClient, content: bytes) -> None:
        headers = {"content-type": "application/json"}
        await auth.refused(
            "POST", "/auth/register", content=content, headers=headers, status=400, code="validation_failed"
        )

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
    async def test_other_content_types(self, auth: ApiClient, content_type: str) -> None:
        await auth.refused(
            "POST",
            "/auth/register",
            content=b"username[$ne]=&email=x&password=y",
            headers={"content-type": content_type},
            status=415,
            code="unsupported_media_type",
        )

    async def test_large_json(self, auth: ApiClient) -> None:
        body = account(firstname="x" * 300_000)
        await auth.refused("POST", "/auth/register", json=body, status=413, code="content_too_large")


class TestForm:
    async def test_avatar_goes_to_media(self, auth: ApiClient, avatar_media: Any) -> None:
        files = {"avatar": ("me.png", b"\x89PNG image", "image/png")}
        profile = await auth.data("POST", "/auth/register", status=201, data=account(), files=files)
        assert profile["avatarUrl"] == f"/media/{profile['id']}"
        assert avatar_media.images[profile["id"]] == b"\x89PNG image"

    async def test_avatar_may_be_missing(self, auth: ApiClient) -> None:
        body = {name: (None, value) for name, value in account().items()}
        profile = await auth.data("POST", "/auth/register", status=201, files=body)
        assert profile["avatarUrl"] is None

    async def test_what_media_refuses_makes_no_account(self, auth: ApiClient, auth_events: Any) -> None:
        body, files = account(), {"avatar": ("me.png", b"no image", "image/png")}
        await auth.refused(
            "POST", "/auth/register", data=body, files=files, status=415, code="unsupported_image"
        )
        await auth.call("POST", "/auth/register", status=201, json=body)

    async def test_media_away_makes_no_account_and_leaves_no_avatar(
        self,
        start_auth: Callable[..., Awaitable[Any]],
        make_client: Callable[..., ApiClient],
        auth_events: Any,
        auth_database: AsyncDatabase[Document],
    ) -> None:
        process = await start_auth(CHAT_MEDIA_URLS="http://127.0.0.1:1")
        body, files = account(), {"avatar": ("me.png", b"\x89PNG image", "image/png")}
        known = len(auth_events.events)
        async with make_client(process, "10.0.0.1") as client:
            problem = await client.refused(
                "POST", "/auth/register", data=body, files=files, status=503, code="avatar_store_away"
            )
            assert problem.retryable
        deleted = await auth_events.wait_for("user.deleted.v1", after=known)
        assert await auth_database.users.find_one({"_id": ObjectId(deleted.user_id)}) is None
        assert await auth_database.users.find_one({"username": body["username"]}) is None

    async def test_large_avatar(self, auth: ApiClient) -> None:
        files = {"avatar": ("me.png", b"x" * (5 * 1024 * 1024 + 1), "image/png")}
        await auth.refused(
            "POST", "/auth/register", data=account(), files=files, status=413, code="avatar_too_large"
        )

    async def test_larger_than_any_form(self, auth: ApiClient) -> None:
        files = {"avatar": ("me.png", b"x" * (6 * 1024 * 1024), "image/png")}
        await auth.refused(
            "POST", "/auth/register", data=account(), files=files, status=413, code="content_too_large"
        )

    @pytest.mark.parametrize(
        ("files", "field"),
        [
            ([("image", ("x.png", b"x"))], "image"),
            ([("avatar", (None, b"text"))], "avatar"),
            ([("username", (None, b"twice"))], "username"),
            ([("username[$ne]", (None, b""))], "username[$ne]"),
        ],
    )
    async def test_odd_parts(self, auth: ApiClient, files: list[Any], field: str) -> None:
        problem = await auth.refused(
            "POST", "/auth/register", data=account(), files=files, status=400, code="validation_failed"
        )
        assert [error.field for error in problem.errors] == [field]

    @pytest.mark.parametrize(
        "files",
        [
            [("avatar", ("a.png", b"x")), ("avatar", ("b.png", b"x"))],
            [(f"field{number}", (None, b"x")) for number in range(50)],
            [("firstname", (None, b"x" * 5000))],
        ],
    )
    async def test_too_many_or_too_long_parts(self, auth: ApiClient, files: list[Any]) -> None:
        await auth.refused(
            "POST", "/auth/register", data=account(), files=files, status=400, code="bad_request"
        )


async def test_one_address_makes_twenty_accounts_an_hour(
    auth_processes: list[Any], new_address: Callable[[], str], make_client: Callable[..., ApiClient]
) -> None:
    address = new_address()
    async with (
        make_client(auth_processes[0], address) as one,
        make_client(auth_processes[1], address) as other,
    ):
        for number in range(20):
            client = one if number % 2 else other
            await client.call("POST", "/auth/register", status=201, json=account())
        response = await one.send("POST", "/auth/register", json=account())
    assert response.status_code == 429
    assert 3500 < int(response.headers["retry-after"]) <= 3600
