"""Logging in and out, refreshing, and the list of one's sessions."""

import secrets
from typing import Any

import pytest
from chat_shared.testing import (
    OWN_USER_FIELDS,
    PASSWORD,
    ApiClient,
    NewUser,
    User,
    check_entity,
    eventually,
    is_timestamp,
    problem_body,
    response_cookies,
    success_body,
)

FOREIGN = {"origin": "https://evil.example"}


class TestLogin:
    """POST /auth/login"""

    async def test_tokens_in_body_and_cookies(self, api: ApiClient, alice: User) -> None:
        credentials = {"username": alice.username, "password": alice.password}
        response = await api.send("POST", "/auth/login", json=credentials)
        data = success_body(response)["data"]
        assert set(data) == {"user", "accessToken", "refreshToken", "expiresIn"}
        check_entity(data["user"], OWN_USER_FIELDS)
        assert response.headers["cache-control"] == "no-store"
        cookies = response_cookies(response)
        assert {name: cookie.value for name, cookie in cookies.items()} == {
            "accessToken": data["accessToken"],
            "refreshToken": data["refreshToken"],
        }
        for name, path in (("accessToken", "/"), ("refreshToken", "/api/v1/auth")):
            assert cookies[name]["httponly"] is True
            assert cookies[name]["samesite"].lower() == "strict"
            assert cookies[name]["path"] == path

    @pytest.mark.parametrize("field", ["username", "email"])
    async def test_by_username_or_email_in_any_case(self, api: ApiClient, alice: User, field: str) -> None:
        credentials = {field: getattr(alice, field).upper(), "password": alice.password}
        data = await api.data("POST", "/auth/login", json=credentials)
        assert data["user"]["id"] == alice.id

    async def test_the_cookie_alone_is_enough(self, api: ApiClient, alice: User) -> None:
        profile = await api.data("GET", "/auth/me", cookies={"accessToken": alice.access_token})
        assert profile["id"] == alice.id

    async def test_unknown_account_and_wrong_password_look_alike(
        self, api: ApiClient, new_user: NewUser
    ) -> None:
        user = await new_user()
        answers = [
            problem_body(
                await api.send("POST", "/auth/login", json={"username": name, "password": "not this one"})
            )
            for name in (user.username, f"user_{secrets.token_hex(5)}")
        ]
        assert answers[0] == answers[1]
        assert (answers[0].status, answers[0].code) == (401, "wrong_credentials")

    async def test_too_many_wrong_passwords(self, api: ApiClient, new_user: NewUser) -> None:
        """The account is spared further guesses; who is logged in stays so."""
        user = await new_user()
        wrong = {"username": user.username, "password": "not this one"}
        for _ in range(5):
            await api.refused("POST", "/auth/login", status=401, code="wrong_credentials", json=wrong)
        response = await api.send("POST", "/auth/login", json=wrong)
        problem = problem_body(response)
        assert (problem.status, problem.code, problem.retryable) == (429, "rate_limited", True)
        assert int(response.headers["retry-after"]) > 0
        await api.call("GET", "/auth/me", user)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"password": PASSWORD},
            {"username": "somebody"},
            {"username": {"$ne": None}, "password": PASSWORD},
            {"username": "somebody", "password": {"$regex": ".*"}},
            {"username": "somebody", "password": PASSWORD, "remember": True},
        ],
    )
    async def test_bad_body(self, api: ApiClient, body: dict[str, Any]) -> None:
        problem = await api.refused("POST", "/auth/login", status=400, code="validation_failed", json=body)
        assert problem.errors


class TestRefresh:
    """POST /auth/refreshToken"""

    @pytest.mark.parametrize("carrier", ["cookie", "header", "body"])
    async def test_by_cookie_header_or_body(self, api: ApiClient, new_user: NewUser, carrier: str) -> None:
        user = await new_user()
        options: dict[str, Any] = {
            "cookie": {"cookies": {"refreshToken": user.refresh_token}},
            "header": {"headers": {"x-refresh-token": user.refresh_token}},
            "body": {"json": {"refreshToken": user.refresh_token}},
        }[carrier]
        response = await api.send("POST", "/auth/refreshToken", **options)
        data = success_body(response)["data"]
        assert set(data) == {"accessToken", "refreshToken", "expiresIn"}
        assert data["refreshToken"] != user.refresh_token
        assert response_cookies(response)["refreshToken"].value == data["refreshToken"]
        user.access_token = data["accessToken"]
        await api.call("GET", "/auth/me", user)

    async def test_reuse_ends_the_session(self, api: ApiClient, new_user: NewUser) -> None:
        """Somebody has a copy: neither of the two may go on."""
        user = await new_user()
        other = await api.another_session(user)
        second = await self._refreshed(api, user.refresh_token)
        third = await self._refreshed(api, second)
        for token in (user.refresh_token, third):
            await api.refused(
                "POST",
                "/auth/refreshToken",
                status=401,
                code="invalid_refresh_token",
                json={"refreshToken": token},
            )
        await self._until_ended(api, user)
        await api.call("GET", "/auth/me", other)

    @staticmethod
    async def _refreshed(api: ApiClient, token: str) -> str:
        data = await api.data("POST", "/auth/refreshToken", json={"refreshToken": token})
        return str(data["refreshToken"])

    @staticmethod
    async def _until_ended(api: ApiClient, user: User) -> None:
        async def refused() -> bool:
            return (await api.send("GET", "/auth/me", user)).status_code == 401

        await eventually(refused, timeout=1, what="the access token of the session counts no more")

    async def test_parallel_calls_get_one_successor(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        first = await self._refreshed(api, user.refresh_token)
        again = await self._refreshed(api, user.refresh_token)
        assert first == again

    async def test_unknown_or_missing(self, api: ApiClient, alice: User) -> None:
        bodies: list[dict[str, Any]] = [
            {},
            {"json": {}},
            {"json": {"refreshToken": "x" * 43}},
            {"json": {"refreshToken": alice.access_token[:200]}},
        ]
        for options in bodies:
            await api.refused(
                "POST", "/auth/refreshToken", status=401, code="invalid_refresh_token", **options
            )

    @pytest.mark.parametrize("body", [{"refreshToken": 7}, {"token": "x"}, {"refreshToken": {"$ne": ""}}])
    async def test_bad_body(self, api: ApiClient, body: dict[str, Any]) -> None:
        await api.refused("POST", "/auth/refreshToken", status=400, code="validation_failed", json=body)

    async def test_cookie_from_a_foreign_page(self, api: ApiClient, alice: User) -> None:
        await api.refused(
            "POST",
            "/auth/refreshToken",
            status=403,
            code="origin_refused",
            headers=FOREIGN,
            cookies={"refreshToken": alice.refresh_token},
        )
        await self._refreshed(api, (await api.another_session(alice)).refresh_token)


class TestLogout:
    """POST /auth/logout"""

    async def test_ends_this_session_alone(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        other = await api.another_session(user)
        response = await api.send("POST", "/auth/logout", user)
        assert success_body(response)["data"] is None
        cookies = response_cookies(response)
        assert {name: (cookie.value, cookie["max-age"]) for name, cookie in cookies.items()} == {
            "accessToken": ("", "0"),
            "refreshToken": ("", "0"),
        }
        for path in ("/auth/me", "/room"):
            await api.refused("GET", path, user, status=401, code="unauthenticated")
        await api.refused(
            "POST",
            "/auth/refreshToken",
            status=401,
            code="invalid_refresh_token",
            json={"refreshToken": user.refresh_token},
        )
        await api.call("GET", "/auth/me", other)

    async def test_without_a_session(self, api: ApiClient) -> None:
        await api.refused("POST", "/auth/logout", status=401, code="unauthenticated")

    async def test_cookie_from_a_foreign_page(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        cookies = {"accessToken": user.access_token, "refreshToken": user.refresh_token}
        await api.refused(
            "POST", "/auth/logout", status=403, code="origin_refused", headers=FOREIGN, cookies=cookies
        )
        await api.call("GET", "/auth/me", user)


class TestSessions:
    """GET /auth/sessions and DELETE /auth/sessions/{id}"""

    async def test_list(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        await api.another_session(user)
        sessions = await api.data("GET", "/auth/sessions", user)
        assert [session["current"] for session in sessions].count(True) == 1
        assert len(sessions) == 2
        for session in sessions:
            assert set(session) == {
                "id",
                "current",
                "createdAt",
                "lastUsedAt",
                "expiresAt",
                "userAgent",
                "address",
            }
            assert all(is_timestamp(session[name]) for name in ("createdAt", "lastUsedAt", "expiresAt"))

    async def test_revoke_another(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        lost = await api.another_session(user)
        lost_id = next(
            session["id"] for session in await api.data("GET", "/auth/sessions", lost) if session["current"]
        )
        await api.call("DELETE", f"/auth/sessions/{lost_id}", user)
        await api.refused("GET", "/auth/me", lost, status=401, code="unauthenticated")
        await api.call("GET", "/auth/me", user)

    async def test_revoke_somebody_elses(self, api: ApiClient, alice: User, bob: User) -> None:
        session = (await api.data("GET", "/auth/sessions", bob))[0]
        await api.refused(
            "DELETE", f"/auth/sessions/{session['id']}", alice, status=404, code="session_not_found"
        )
        await api.call("GET", "/auth/me", bob)

    async def test_malformed_id(self, api: ApiClient, alice: User) -> None:
        await api.refused("DELETE", "/auth/sessions/x", alice, status=400, code="validation_failed")


class TestPassword:
    """POST /auth/password"""

    async def test_other_sessions_end(self, api: ApiClient, new_user: NewUser) -> None:
        user = await new_user()
        other = await api.another_session(user)
        body = {"currentPassword": user.password, "newPassword": "another horse 43"}
        await api.call("POST", "/auth/password", user, json=body)
        await api.refused("GET", "/auth/me", other, status=401, code="unauthenticated")
        await api.call("GET", "/auth/me", user)
        user.password = body["newPassword"]
        await api.login(user)

    async def test_wrong_password(self, api: ApiClient, alice: User) -> None:
        body = {"currentPassword": "not this one", "newPassword": "another horse 43"}
        await api.refused("POST", "/auth/password", alice, status=403, code="wrong_password", json=body)

    async def test_weak_password(self, api: ApiClient, alice: User) -> None:
        body = {"currentPassword": alice.password, "newPassword": "password1"}
        problem = await api.refused(
            "POST", "/auth/password", alice, status=400, code="validation_failed", json=body
        )
        assert [error.field for error in problem.errors] == ["newPassword"]
