"""One's own account: profile, password, deletion."""

import secrets
from typing import Any

import pytest
from bson import ObjectId
from chat_shared.mongo import Document
from chat_shared.testing import ApiClient, User
from pymongo.asynchronous.database import AsyncDatabase

ME, PASSWORD = "/auth/me", "/auth/password"
NEW = "another horse 43 battery"


class TestProfile:
    async def test_change_some_fields(self, auth: ApiClient, ada: User, auth_events: Any) -> None:
        name = f"new_{secrets.token_hex(5)}"
        changed = await auth.data("PATCH", ME, ada, json={"username": name, "firstname": "Ada"})
        assert (changed["username"], changed["firstname"], changed["lastname"]) == (name, "Ada", "")
        assert await auth.data("GET", ME, ada) == changed
        event = await auth_events.wait_for("user.updated.v1", user_id=ada.id)
        assert (event.username, event.avatar_url) == (name, None)

    async def test_change_avatar(
        self, auth: ApiClient, ada: User, avatar_media: Any, auth_events: Any
    ) -> None:
        files = {"avatar": ("me.png", b"\x89PNG other", "image/png")}
        changed = await auth.data("PATCH", ME, ada, files=files)
        assert changed["avatarUrl"] == f"/media/{ada.id}"
        assert avatar_media.images[ada.id] == b"\x89PNG other"
        event = await auth_events.wait_for("user.updated.v1", user_id=ada.id)
        assert event.avatar_url == changed["avatarUrl"]

    async def test_log_in_with_the_new_address_only(self, auth: ApiClient, ada: User) -> None:
        address = f"{secrets.token_hex(5)}@example.org"
        assert (await auth.data("PATCH", ME, ada, json={"email": address}))["email"] == address
        for email, status in ((address, 200), (ada.email, 401)):
            response = await auth.send("POST", "/auth/login", json={"email": email, "password": ada.password})
            assert response.status_code == status

    @pytest.mark.parametrize("field", ["username", "email"])
    @pytest.mark.parametrize("with_avatar", [False, True])
    async def test_taken(
        self, auth: ApiClient, ada: User, field: str, with_avatar: bool, avatar_media: Any
    ) -> None:
        other = await auth.register()
        change = {field: getattr(other, field).upper()}
        files = {"avatar": ("me.png", b"\x89PNG", "image/png")}
        body: dict[str, Any] = {"data": change, "files": files} if with_avatar else {"json": change}
        await auth.refused("PATCH", ME, ada, **body, status=409, code="account_taken")
        assert (await auth.data("GET", ME, ada))["username"] == ada.username
        assert ada.id not in avatar_media.images

    async def test_own_name_in_other_case_is_free(self, auth: ApiClient, ada: User) -> None:
        name = ada.username.upper()
        assert (await auth.data("PATCH", ME, ada, json={"username": name}))["username"] == name

    @pytest.mark.parametrize(
        "change",
        [
            {"username": "a b"},
            {"email": "x"},
            {"firstname": "x" * 51},
            {"firstname": {"$set": 1}},
            {"password": NEW},
            {"isOnline": True},
            {"avatarUrl": "http://evil.example"},
            {"_id": "0" * 24},
        ],
    )
    async def test_refused_fields(self, auth: ApiClient, ada: User, change: dict[str, Any]) -> None:
        await auth.refused("PATCH", ME, ada, json=change, status=400, code="validation_failed")

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    async def test_needs_a_login(self, auth: ApiClient, method: str) -> None:
        await auth.refused(method, ME, json={}, status=401, code="unauthenticated")


class TestPassword:
    async def test_change_ends_all_other_sessions(self, auth: ApiClient, ada: User, auth_events: Any) -> None:
        others = [await auth.another_session(ada) for _ in range(2)]
        body = {"currentPassword": ada.password, "newPassword": NEW}
        await auth.call("POST", PASSWORD, ada, json=body)
        await auth.call("GET", ME, ada)
        for other in others:
            await auth.refused("GET", ME, other, status=401, code="unauthenticated")
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (len(event.session_ids), event.reason) == (2, "password_changed")
        for password, status in ((ada.password, 401), (NEW, 200)):
            body = {"username": ada.username, "password": password}
            assert (await auth.send("POST", "/auth/login", json=body)).status_code == status

    async def test_wrong_current_password_counts_as_a_guess(self, auth: ApiClient, ada: User) -> None:
        body = {"currentPassword": "wrong horse", "newPassword": NEW}
        for _ in range(5):
            await auth.refused("POST", PASSWORD, ada, json=body, status=403, code="wrong_password")
        await auth.refused("POST", PASSWORD, ada, json=body, status=429, code="rate_limited")

    @pytest.mark.parametrize("new", ["short", "x" * 129, "password123"])
    async def test_weak_new_password(self, auth: ApiClient, ada: User, new: str) -> None:
        body = {"currentPassword": ada.password, "newPassword": new}
        problem = await auth.refused("POST", PASSWORD, ada, json=body, status=400, code="validation_failed")
        assert [error.field for error in problem.errors] == ["newPassword"]

    @pytest.mark.parametrize(
        "body",
        [{}, {"currentPassword": {"$ne": 1}, "newPassword": NEW}, {"currentPassword": "x", "new": NEW}],
    )
    async def test_bad_bodies(self, auth: ApiClient, ada: User, body: dict[str, Any]) -> None:
        await auth.refused("POST", PASSWORD, ada, json=body, status=400, code="validation_failed")


class TestDeletion:
    async def test_everything_goes(
        self, auth: ApiClient, ada: User, auth_events: Any, auth_database: AsyncDatabase[Document]
    ) -> None:
        other = await auth.another_session(ada)
        await auth.call("DELETE", ME, ada, json={"password": ada.password})
        for user in (ada, other):
            await auth.refused("GET", ME, user, status=401, code="unauthenticated")
        await auth_events.wait_for("user.deleted.v1", user_id=ada.id)
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (len(event.session_ids), event.reason) == (2, "account_deleted")
        for collection in ("sessions", "refresh_tokens"):
            assert await auth_database[collection].count_documents({"userId": ObjectId(ada.id)}) == 0
        bob = await auth.login(await auth.register())
        await auth.refused("GET", f"/users/{ada.id}", bob, status=404, code="user_not_found")
        await auth.register(ada.username, email=ada.email)

    async def test_needs_the_password(self, auth: ApiClient, ada: User) -> None:
        await auth.refused(
            "DELETE", ME, ada, json={"password": "wrong horse"}, status=403, code="wrong_password"
        )
        await auth.refused("DELETE", ME, ada, json={}, status=400, code="validation_failed")
        await auth.call("GET", ME, ada)
