"""Logging out, seeing and ending one's sessions, and which calls a cookie may make."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from chat_shared.sessions import revocation_key
from chat_shared.testing import ApiClient, User
from chat_shared.testing.api_client import response_cookies
from redis.asyncio import Redis

LOGOUT, REFRESH = "/auth/logout", "/auth/refreshToken"
OWN_SITE = "http://localhost:8080"


async def own_session(auth: ApiClient, user: User) -> dict[str, Any]:
    sessions = await auth.data("GET", "/auth/sessions", user)
    current: dict[str, Any] = next(session for session in sessions if session["current"])
    return current


class TestLogout:
    async def test_ends_the_session_everywhere(
        self, auth: ApiClient, other_auth: ApiClient, ada: User, auth_events: Any, auth_redis: Redis
    ) -> None:
        session_id = (await own_session(auth, ada))["id"]
        response = await auth.send("POST", LOGOUT, ada)
        assert response.status_code == 200
        for client in (auth, other_auth):
            await client.refused("GET", "/auth/me", ada, status=401, code="unauthenticated")
            headers = {"x-refresh-token": ada.refresh_token}
            await client.refused("POST", REFRESH, headers=headers, status=401, code="invalid_refresh_token")
        assert await auth_redis.ttl(revocation_key(session_id)) >= 925
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (event.session_ids, event.reason) == ([session_id], "logout")

    async def test_takes_the_cookies(self, auth: ApiClient, ada: User) -> None:
        cookies = response_cookies(await auth.send("POST", LOGOUT, ada))
        for name, path in (("accessToken", "/"), ("refreshToken", "/api/v1/auth")):
            assert (cookies[name].value, cookies[name]["max-age"], cookies[name]["path"]) == ("", "0", path)

    async def test_by_refresh_token_when_the_access_token_is_over(self, auth: ApiClient, ada: User) -> None:
        headers = {"x-refresh-token": ada.refresh_token, "authorization": "Bearer over"}
        await auth.call("POST", LOGOUT, headers=headers)
        await auth.refused("GET", "/auth/me", ada, status=401, code="unauthenticated")

    async def test_needs_some_token(self, auth: ApiClient) -> None:
        await auth.refused("POST", LOGOUT, status=401, code="unauthenticated")

    async def test_leaves_other_sessions_alone(self, auth: ApiClient, ada: User) -> None:
        other = await auth.another_session(ada)
        await auth.call("POST", LOGOUT, ada)
        await auth.call("GET", "/auth/me", other)

    async def test_works_without_redis_and_rabbitmq(
        self, start_auth: Callable[..., Awaitable[Any]], make_client: Callable[..., ApiClient]
    ) -> None:
        away = {"CHAT_REDIS_URL": "redis://127.0.0.1:1/0", "CHAT_AMQP_URL": "amqp://127.0.0.1:1/"}
        async with make_client(await start_auth(**away), "10.0.0.5") as client:
            user = await client.login(await client.register())
            assert (await client.data("GET", "/auth/me", user))["isOnline"] is False
            await client.call("POST", LOGOUT, user)
            await client.refused("GET", "/auth/me", user, status=401, code="unauthenticated")
            guesses = [
                await client.send(
                    "POST", "/auth/login", json={"username": user.username, "password": "wrong"}
                )
                for _ in range(6)
            ]
        assert [response.status_code for response in guesses] == [401] * 5 + [429]


class TestSessions:
    async def test_list(self, auth: ApiClient, ada: User) -> None:
        auth.http.headers["user-agent"] = "A phone " + "x" * 300
        other = await auth.another_session(ada)
        sessions = await auth.data("GET", "/auth/sessions", ada)
        assert [session["current"] for session in sessions] == [False, True]
        assert sessions[0]["userAgent"].startswith("A phone")
        assert len(sessions[0]["userAgent"]) == 200
        assert sessions[0]["address"] == auth.http.headers["x-forwarded-for"]
        assert (await own_session(auth, other))["id"] == sessions[0]["id"]

    async def test_end_one(self, auth: ApiClient, ada: User, auth_events: Any) -> None:
        lost_phone = await auth.another_session(ada)
        session_id = (await own_session(auth, lost_phone))["id"]
        await auth.call("DELETE", f"/auth/sessions/{session_id}", ada)
        await auth.refused("GET", "/auth/me", lost_phone, status=401, code="unauthenticated")
        await auth.call("GET", "/auth/me", ada)
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (event.session_ids, event.reason) == ([session_id], "revoked")
        await auth.refused(
            "DELETE", f"/auth/sessions/{session_id}", ada, status=404, code="session_not_found"
        )

    async def test_not_those_of_others(self, auth: ApiClient, ada: User) -> None:
        eve = await auth.login(await auth.register())
        session_id = (await own_session(auth, ada))["id"]
        await auth.refused(
            "DELETE", f"/auth/sessions/{session_id}", eve, status=404, code="session_not_found"
        )
        await auth.call("GET", "/auth/me", ada)

    @pytest.mark.parametrize("session_id", ["x", "$ne", "0" * 23, "G" * 24, "0" * 25])
    async def test_malformed_id(self, auth: ApiClient, ada: User, session_id: str) -> None:
        await auth.refused(
            "DELETE", f"/auth/sessions/{session_id}", ada, status=400, code="validation_failed"
        )

    async def test_need_a_login(self, auth: ApiClient) -> None:
        await auth.refused("GET", "/auth/sessions", status=401, code="unauthenticated")


class TestCrossSite:
    """A browser that another site makes call us sends cookies and an Origin it cannot choose."""

    FOREIGN = ("https://evil.example", "null", "http://localhost:8080.evil.example", "http://localhost:80800")

    @pytest.mark.parametrize("path", [REFRESH, LOGOUT])
    @pytest.mark.parametrize("origin", FOREIGN)
    async def test_foreign_form_post_is_refused_and_changes_nothing(
        self, auth: ApiClient, ada: User, path: str, origin: str
    ) -> None:
        cookie = f"accessToken={ada.access_token}; refreshToken={ada.refresh_token}"
        headers = {"origin": origin, "cookie": cookie, "content-type": "text/plain"}
        await auth.refused("POST", path, headers=headers, content=b"x=y", status=403, code="origin_refused")
        await auth.call("GET", "/auth/me", ada)
        await auth.call("POST", REFRESH, headers={"x-refresh-token": ada.refresh_token})

    async def test_fetch_metadata_without_origin(self, auth: ApiClient, ada: User) -> None:
        headers = {"sec-fetch-site": "cross-site", "cookie": f"refreshToken={ada.refresh_token}"}
        await auth.refused("POST", REFRESH, headers=headers, status=403, code="origin_refused")

    @pytest.mark.parametrize(("method", "path"), [("PATCH", "/auth/me"), ("DELETE", "/auth/me")])
    async def test_other_changes_by_cookie(self, auth: ApiClient, ada: User, method: str, path: str) -> None:
        headers = {"origin": self.FOREIGN[0], "cookie": f"accessToken={ada.access_token}"}
        await auth.refused(method, path, headers=headers, json={}, status=403, code="origin_refused")

    async def test_own_pages_may(self, auth: ApiClient, ada: User) -> None:
        cookie = f"accessToken={ada.access_token}; refreshToken={ada.refresh_token}"
        headers = {"origin": OWN_SITE, "cookie": cookie}
        await auth.call("PATCH", "/auth/me", headers=headers, json={"firstname": "Ada"})
        await auth.call("POST", REFRESH, headers=headers)
        await auth.call("POST", LOGOUT, headers=headers)

    @pytest.mark.parametrize("origin", [*FOREIGN, OWN_SITE])
    async def test_no_answer_allows_another_origin(self, auth: ApiClient, ada: User, origin: str) -> None:
        calls = [
            auth.send("GET", "/auth/me", ada, headers={"origin": origin}),
            auth.send("OPTIONS", "/auth/login", headers={"origin": origin}),
        ]
        for response in await asyncio.gather(*calls):
            assert not [name for name in response.headers if name.startswith("access-control-")]
