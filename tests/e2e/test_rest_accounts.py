"""Registering, and one's own and others' profiles."""

import secrets
from io import BytesIO
from typing import Any

import pytest
from chat_shared.testing import (
    OWN_USER_FIELDS,
    PASSWORD,
    USER_FIELDS,
    ApiClient,
    NewUser,
    User,
    check_entity,
    success_body,
)
from PIL import Image


def registration(**fields: Any) -> dict[str, Any]:
    """Return the body of a registration that works; `fields` replace or add."""
    name = f"user_{secrets.token_hex(5)}"
    return {"username": name, "email": f"{name}@example.org", "password": PASSWORD, **fields}


def png() -> bytes:
    """Return a small picture."""
    buffer = BytesIO()
    Image.new("RGB", (8, 6), "teal").save(buffer, "PNG")
    return buffer.getvalue()


class TestRegister:
    """POST /auth/register"""

    async def test_valid(self, api: ApiClient) -> None:
        body = registration(firstname="Ada", lastname="Lovelace")
        answer = await api.call("POST", "/auth/register", status=201, json=body)
        profile = answer["data"]
        check_entity(profile, OWN_USER_FIELDS)
        assert {name: profile[name] for name in ("username", "email", "firstname", "lastname")} == {
            name: value for name, value in body.items() if name != "password"
        }
        assert profile["avatarUrl"] is None
        assert profile["isOnline"] is False
        assert PASSWORD not in str(answer)

    async def test_names_are_optional(self, api: ApiClient) -> None:
        profile = await api.data("POST", "/auth/register", status=201, json=registration())
        assert (profile["firstname"], profile["lastname"]) == ("", "")

    async def test_form_with_avatar(self, api: ApiClient) -> None:
        files = {"avatar": ("me.png", png(), "image/png")}
        profile = await api.data("POST", "/auth/register", status=201, data=registration(), files=files)
        check_entity(profile, OWN_USER_FIELDS)
        avatar = await api.http.get(profile["avatarUrl"])
        assert avatar.status_code == 200
        assert avatar.headers["content-type"].startswith("image/")

    async def test_form_without_avatar(self, api: ApiClient) -> None:
        parts = {name: (None, value) for name, value in registration().items()}
        profile = await api.data("POST", "/auth/register", status=201, files=parts)
        assert profile["avatarUrl"] is None

    async def test_avatar_that_is_no_image(self, api: ApiClient) -> None:
        body = registration()
        files = {"avatar": ("me.png", b"<svg onload=alert(1)>", "image/png")}
        response = await api.send("POST", "/auth/register", data=body, files=files)
        assert response.status_code == 415
        credentials = {"username": body["username"], "password": PASSWORD}
        await api.refused("POST", "/auth/login", status=401, code="wrong_credentials", json=credentials)

    @pytest.mark.parametrize("field", ["username", "email"])
    async def test_taken_in_any_case(self, api: ApiClient, alice: User, field: str) -> None:
        body = registration(**{field: getattr(alice, field).upper()})
        problem = await api.refused("POST", "/auth/register", status=409, code="account_taken", json=body)
        assert problem.errors == [], "which of the two is taken is not told"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("username", "ab"),
            ("username", "a" * 31),
            ("username", "no spaces"),
            ("username", {"$ne": None}),
            ("email", "not-an-address"),
            ("email", 7),
            ("password", "short"),
            ("password", "x" * 129),
            ("password", "password1"),
            ("firstname", "x" * 51),
            ("lastname", "line\nbreak"),
            ("avatarUrl", "javascript:alert(1)"),
            ("avatarUrl", "https://x.example/" + "a" * 500),
            ("role", "admin"),
            ("_id", "0" * 24),
        ],
    )
    async def test_bad_field(self, api: ApiClient, field: str, value: Any) -> None:
        problem = await api.refused(
            "POST",
            "/auth/register",
            status=400,
            code="validation_failed",
            json=registration(**{field: value}),
        )
        assert [error.field for error in problem.errors] == [field]

    @pytest.mark.parametrize("field", ["username", "email", "password"])
    async def test_missing_field(self, api: ApiClient, field: str) -> None:
        body = registration()
        del body[field]
        problem = await api.refused("POST", "/auth/register", status=400, code="validation_failed", json=body)
        assert [error.field for error in problem.errors] == [field]

    async def test_bad_field_of_a_form(self, api: ApiClient) -> None:
        parts = {name: (None, value) for name, value in registration(username="ab").items()}
        problem = await api.refused(
            "POST", "/auth/register", status=400, code="validation_failed", files=parts
        )
        assert [error.field for error in problem.errors] == ["username"]

    async def test_not_json(self, api: ApiClient) -> None:
        headers = {"content-type": "application/json"}
        await api.refused(
            "POST", "/auth/register", status=400, code="validation_failed", content=b"{", headers=headers
        )
        headers = {"content-type": "text/plain"}
        await api.refused(
            "POST",
            "/auth/register",
            status=415,
            code="unsupported_media_type",
            content=b"{}",
            headers=headers,
        )


class TestOwnProfile:
    """GET and PATCH /auth/me"""

    async def test_get(self, api: ApiClient, alice: User) -> None:
        profile = await api.data("GET", "/auth/me", alice)
        check_entity(profile, OWN_USER_FIELDS)
        assert (profile["id"], profile["email"]) == (alice.id, alice.email)

    async def test_patch(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user(firstname="Ada")
        changed = await api.data("PATCH", "/auth/me", user, json={"lastname": "Lovelace"})
        assert (changed["firstname"], changed["lastname"]) == ("Ada", "Lovelace")
        assert await api.data("GET", "/auth/me", user) == changed

    async def test_patch_avatar(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        files = {"avatar": ("me.png", png(), "image/png")}
        changed = await api.data("PATCH", "/auth/me", user, files=files)
        assert (await api.http.get(changed["avatarUrl"])).status_code == 200

    async def test_taken_name(self, api: ApiClient, alice: User, bob: User) -> None:
        await api.refused(
            "PATCH", "/auth/me", bob, status=409, code="account_taken", json={"username": alice.username}
        )

    @pytest.mark.parametrize("body", [{"username": "ab"}, {"isOnline": True}, {"password": PASSWORD}])
    async def test_bad_field(self, api: ApiClient, alice: User, body: dict[str, Any]) -> None:
        problem = await api.refused(
            "PATCH", "/auth/me", alice, status=400, code="validation_failed", json=body
        )
        assert [error.field for error in problem.errors] == list(body)


class TestUsers:
    """GET /users/{id} and GET /users?ids="""

    async def test_one(self, api: ApiClient, alice: User, bob: User) -> None:
        profile = await api.data("GET", f"/users/{bob.id}", alice)
        check_entity(profile, USER_FIELDS)
        assert profile["username"] == bob.username

    async def test_unknown(self, api: ApiClient, alice: User) -> None:
        await api.refused("GET", f"/users/{'0' * 24}", alice, status=404, code="user_not_found")

    async def test_many_in_the_order_asked_for(
        self, api: ApiClient, alice: User, bob: User, carol: User
    ) -> None:
        ids = [carol.id, "0" * 24, alice.id, bob.id]
        profiles = await api.data("GET", "/users", alice, params={"ids": ",".join(ids)})
        assert [profile["id"] for profile in profiles] == [carol.id, alice.id, bob.id]
        for profile in profiles:
            check_entity(profile, USER_FIELDS)

    @pytest.mark.parametrize("ids", ["", "x", f"{'0' * 24},", ",".join(["0" * 23 + "1"] * 101)])
    async def test_malformed_ids(self, api: ApiClient, alice: User, ids: str) -> None:
        await api.refused("GET", "/users", alice, status=400, code="validation_failed", params={"ids": ids})

    async def test_ids_are_needed(self, api: ApiClient, alice: User) -> None:
        await api.refused("GET", "/users", alice, status=400, code="validation_failed")


class TestDeleteAccount:
    """DELETE /auth/me"""

    async def test_valid(self, api: ApiClient, new_user: NewUser, alice: User) -> None:
        user = await new_user()
        response = await api.send("DELETE", "/auth/me", user, json={"password": user.password})
        success_body(response)
        await api.refused("GET", "/auth/me", user, status=401, code="unauthenticated")
        await api.refused("GET", f"/users/{user.id}", alice, status=404, code="user_not_found")

    async def test_wrong_password(self, api: ApiClient, alice: User) -> None:
        await api.refused(
            "DELETE", "/auth/me", alice, status=403, code="wrong_password", json={"password": "not this one"}
        )
