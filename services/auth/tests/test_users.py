"""Public profiles, presence in them, and what the gateways report."""

import time
from datetime import timedelta
from typing import Any

import pytest
from chat_shared.contracts.base import format_timestamp, utc_now
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient, User
from redis.asyncio import Redis

MISSING = "0" * 24


class TestProfiles:
    async def test_one(self, auth: ApiClient, ada: User) -> None:
        bob = await auth.register(firstname="Bob")
        profile = await auth.data("GET", f"/users/{bob.id}", ada)
        assert set(profile) == {
            "id",
            "_id",
            "username",
            "firstname",
            "lastname",
            "avatarUrl",
            "isOnline",
            "lastSeen",
            "createdAt",
        }
        assert (profile["id"], profile["_id"], profile["firstname"]) == (bob.id, bob.id, "Bob")

    async def test_many_in_the_order_asked_for(self, auth: ApiClient, ada: User) -> None:
        bob, eve = await auth.register(), await auth.register()
        ids = [eve.id, MISSING, ada.id, bob.id, eve.id]
        profiles = await auth.data("GET", "/users", ada, params={"ids": ",".join(ids)})
        assert [profile["id"] for profile in profiles] == [eve.id, ada.id, bob.id]
        assert not any("email" in profile for profile in profiles)

    async def test_unknown(self, auth: ApiClient, ada: User) -> None:
        await auth.refused("GET", f"/users/{MISSING}", ada, status=404, code="user_not_found")

    @pytest.mark.parametrize("path", ["/users/x", "/users/$ne", f"/users/{'G' * 24}", "/users/me"])
    async def test_malformed_id(self, auth: ApiClient, ada: User, path: str) -> None:
        await auth.refused("GET", path, ada, status=400, code="validation_failed")

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "?ids=",
            "?ids=x",
            f"?ids={MISSING},",
            f"?ids[$ne]={MISSING}",
            "?ids=" + ",".join(f"{number:024x}" for number in range(101)),
        ],
    )
    async def test_bad_lists(self, auth: ApiClient, ada: User, query: str) -> None:
        await auth.refused("GET", f"/users{query}", ada, status=400, code="validation_failed")

    async def test_hundred_are_allowed(self, auth: ApiClient, ada: User) -> None:
        ids = ",".join(f"{number:024x}" for number in range(100))
        assert await auth.data("GET", "/users", ada, params={"ids": ids}) == []

    @pytest.mark.parametrize("path", [f"/users/{MISSING}", f"/users?ids={MISSING}"])
    async def test_need_a_login(self, auth: ApiClient, path: str) -> None:
        await auth.refused("GET", path, status=401, code="unauthenticated")


class TestPresence:
    @pytest.mark.parametrize(
        ("lease", "hold", "is_online"),
        [(60, "open", True), (60, 60, True), (60, -1, False), (-1, "open", False), (None, "open", False)],
    )
    async def test_online_while_a_living_gateway_holds_them(
        self,
        auth: ApiClient,
        ada: User,
        auth_redis: Redis,
        lease: int | None,
        hold: int | str,
        is_online: bool,
    ) -> None:
        """A hold is open or ends; both it and the lease end by the clock of Redis."""
        gateway = f"gateway-of-{ada.id}"
        if lease is not None:
            await auth_redis.zadd("presence:gateways", {gateway: time.time() + lease})
        value = hold if isinstance(hold, str) else str(time.time() + hold)
        await auth_redis.hset(f"presence:user:{ada.id}", gateway, value)
        for path in ("/auth/me", f"/users/{ada.id}"):
            assert (await auth.data("GET", path, ada))["isOnline"] is is_online
        bob = await auth.register()
        profiles = await auth.data("GET", "/users", ada, params={"ids": f"{bob.id},{ada.id}"})
        assert [profile["isOnline"] for profile in profiles] == [False, is_online]
        await auth_redis.zrem("presence:gateways", gateway)


class TestLastSeen:
    async def report(self, auth: ApiClient, headers: dict[str, str], user: User, moment: Any) -> None:
        body = {"users": [{"userId": user.id, "lastSeen": format_timestamp(moment)}]}
        response = await auth.http.post("/internal/v1/users/last-seen", json=body, headers=headers)
        assert response.status_code == 204, response.text

    async def test_only_moves_forward(
        self, auth: ApiClient, ada: User, service_headers: dict[str, str]
    ) -> None:
        now = utc_now()
        for moment in (now - timedelta(hours=2), now - timedelta(hours=1), now - timedelta(hours=3)):
            await self.report(auth, service_headers, ada, moment)
        latest = format_timestamp(now - timedelta(hours=1))
        assert (await auth.data("GET", f"/users/{ada.id}", ada))["lastSeen"] == latest

    async def test_the_future_counts_as_now(
        self, auth: ApiClient, ada: User, service_headers: dict[str, str]
    ) -> None:
        await self.report(auth, service_headers, ada, utc_now() + timedelta(days=1))
        last_seen = (await auth.data("GET", f"/users/{ada.id}", ada))["lastSeen"]
        assert last_seen <= format_timestamp(utc_now())


class TestInternalRoutes:
    async def test_sessions_check(self, auth: ApiClient, ada: User, service_headers: dict[str, str]) -> None:
        other = await auth.another_session(ada)
        ids = [session["id"] for session in await auth.data("GET", "/auth/sessions", ada)]
        await auth.call("POST", "/auth/logout", other)
        asked = [*ids, MISSING, "not an id"]
        response = await auth.http.post(
            "/internal/v1/sessions/check", json={"sessionIds": asked}, headers=service_headers
        )
        assert response.json() == {"ended": [ids[0], MISSING, "not an id"]}

    async def test_user_exists(self, auth: ApiClient, ada: User, service_headers: dict[str, str]) -> None:
        for user_id, status in ((ada.id, 204), (MISSING, 404), ("x", 400)):
            response = await auth.http.get(f"/internal/v1/users/{user_id}", headers=service_headers)
            assert response.status_code == status
        assert (await auth.http.get(f"/internal/v1/users/{ada.id}", headers=ada.headers)).status_code == 401

    @pytest.mark.parametrize("path", ["sessions/check", "users/last-seen"])
    @pytest.mark.parametrize("token", ["", "wrong", "ÿ"])
    async def test_only_for_services(self, auth: ApiClient, ada: User, path: str, token: str) -> None:
        headers = [*ada.headers.items(), (SERVICE_TOKEN_HEADER, token)]
        response = await auth.http.post(
            f"/internal/v1/{path}",
            json={"sessionIds": [], "users": []},
            headers=[(name.encode(), value.encode("latin-1")) for name, value in headers],
        )
        assert response.status_code == 401
