"""POST /auth/refreshToken: one use, one successor, and what a copied token costs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from chat_auth.domain.sessions import digest_of
from chat_shared.contracts.base import utc_now
from chat_shared.mongo import Document
from chat_shared.sessions import revocation_key
from chat_shared.testing import ApiClient, User
from chat_shared.testing.api_client import response_cookies
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

REFRESH = "/auth/refreshToken"


async def refresh(client: ApiClient, token: str) -> Any:
    return await client.send("POST", REFRESH, headers={"x-refresh-token": token})


async def rotated(client: ApiClient, token: str) -> str:
    response = await refresh(client, token)
    assert response.status_code == 200, response.text
    successor: str = response.json()["data"]["refreshToken"]
    return successor


async def age(database: AsyncDatabase[Document], token: str, seconds: int) -> None:
    """Make the use of a token lie further back."""
    moment = utc_now() - timedelta(seconds=seconds)
    outcome = await database.refresh_tokens.update_one(
        {"_id": digest_of(token), "usedAt": {"$exists": True}}, {"$set": {"usedAt": moment}}
    )
    assert outcome.matched_count == 1


async def session_of(database: AsyncDatabase[Document], token: str) -> ObjectId:
    stored = await database.refresh_tokens.find_one({"_id": digest_of(token)})
    assert stored is not None
    session_id: ObjectId = stored["sessionId"]
    return session_id


class TestRotation:
    @pytest.mark.parametrize("place", ["body", "header", "cookie"])
    async def test_token_is_taken_from(self, auth: ApiClient, ada: User, place: str) -> None:
        options: dict[str, Any] = {
            "body": {"json": {"refreshToken": ada.refresh_token}},
            "header": {"headers": {"x-refresh-token": ada.refresh_token}},
            "cookie": {"headers": {"cookie": f"refreshToken={ada.refresh_token}"}},
        }[place]
        response = await auth.send("POST", REFRESH, **options)
        assert response.status_code == 200
        data = response.json()["data"]
        assert set(data) == {"accessToken", "refreshToken", "expiresIn"}
        assert response_cookies(response)["refreshToken"].value == data["refreshToken"] != ada.refresh_token
        ada.access_token = data["accessToken"]
        await auth.call("GET", "/auth/me", ada)

    @pytest.mark.parametrize(
        "token", ["", "x", "x" * 43, "x" * 201, "../../etc/passwd", "eyJhbGciOiJub25lIn0.e30."]
    )
    async def test_unknown_tokens(self, auth: ApiClient, token: str) -> None:
        response = await refresh(auth, token)
        assert response.status_code == 401
        assert response.json()["code"] == "invalid_refresh_token"

    async def test_no_token(self, auth: ApiClient) -> None:
        await auth.refused("POST", REFRESH, status=401, code="invalid_refresh_token")

    @pytest.mark.parametrize("body", [{"refreshToken": {"$ne": None}}, {"refreshToken": 1}, {"token": "x"}])
    async def test_bad_bodies(self, auth: ApiClient, body: dict[str, Any]) -> None:
        await auth.refused("POST", REFRESH, json=body, status=400, code="validation_failed")

    async def test_access_token_is_no_refresh_token(self, auth: ApiClient, ada: User) -> None:
        assert (await refresh(auth, ada.access_token)).status_code == 401

    async def test_refreshing_moves_the_end_of_the_session(
        self, auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document]
    ) -> None:
        query = {"_id": await session_of(auth_database, ada.refresh_token)}
        soon = utc_now() + timedelta(minutes=1)
        await auth_database.sessions.update_one(query, {"$set": {"expiresAt": soon}})
        await rotated(auth, ada.refresh_token)
        session = await auth_database.sessions.find_one(query)
        assert session is not None
        assert session["expiresAt"] > soon + timedelta(days=29)


class TestOneSuccessor:
    async def test_parallel_calls_on_two_processes_give_one_successor(
        self, auth: ApiClient, other_auth: ApiClient, ada: User
    ) -> None:
        calls = [rotated(client, ada.refresh_token) for client in (auth, other_auth) for _ in range(10)]
        successors = set(await asyncio.gather(*calls))
        assert len(successors) == 1
        await rotated(other_auth, successors.pop())

    async def test_lost_answer_is_given_again(
        self, auth: ApiClient, other_auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document]
    ) -> None:
        first = await rotated(auth, ada.refresh_token)
        await age(auth_database, ada.refresh_token, 9)
        assert await rotated(other_auth, ada.refresh_token) == first
        assert await rotated(auth, first) != first


class TestReuse:
    async def assert_family_is_dead(
        self, auth: ApiClient, user: User, *tokens: str, session_id: ObjectId, redis: Redis
    ) -> None:
        for token in tokens:
            assert (await refresh(auth, token)).status_code == 401
        await auth.refused("GET", "/auth/me", user, status=401, code="unauthenticated")
        assert await redis.exists(revocation_key(str(session_id)))
        # Access tokens live for 900 s and clocks may differ by 30.
        assert await redis.ttl(revocation_key(str(session_id))) >= 925

    async def test_after_the_grace(
        self,
        auth: ApiClient,
        ada: User,
        auth_database: AsyncDatabase[Document],
        auth_redis: Redis,
        auth_events: Any,
        auth_processes: list[Any],
        audit_of: Callable[[Any], list[dict[str, Any]]],
    ) -> None:
        session_id = await session_of(auth_database, ada.refresh_token)
        successor = await rotated(auth, ada.refresh_token)
        await age(auth_database, ada.refresh_token, 11)
        assert (await refresh(auth, ada.refresh_token)).status_code == 401
        await self.assert_family_is_dead(auth, ada, successor, session_id=session_id, redis=auth_redis)
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (event.session_ids, event.reason) == ([str(session_id)], "refresh_reuse")
        actions = [line["action"] for line in audit_of(auth_processes[0]) if line.get("user_id") == ada.id]
        assert "refresh_token_reused" in actions

    async def test_within_the_grace_once_the_successor_was_used(
        self, auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document], auth_redis: Redis
    ) -> None:
        session_id = await session_of(auth_database, ada.refresh_token)
        first = await rotated(auth, ada.refresh_token)
        second = await rotated(auth, first)
        assert (await refresh(auth, ada.refresh_token)).status_code == 401
        await self.assert_family_is_dead(auth, ada, first, second, session_id=session_id, redis=auth_redis)

    async def test_other_sessions_of_the_user_live_on(
        self, auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document]
    ) -> None:
        other = await auth.another_session(ada)
        await rotated(auth, ada.refresh_token)
        await age(auth_database, ada.refresh_token, 11)
        assert (await refresh(auth, ada.refresh_token)).status_code == 401
        await auth.call("GET", "/auth/me", other)
        await rotated(auth, other.refresh_token)


class TestLimits:
    @pytest.mark.parametrize("collection", ["sessions", "refresh_tokens"])
    async def test_what_is_expired_counts_no_more(
        self, auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document], collection: str
    ) -> None:
        session_id = await session_of(auth_database, ada.refresh_token)
        field = "_id" if collection == "sessions" else "sessionId"
        past = utc_now() - timedelta(seconds=1)
        await auth_database[collection].update_many({field: session_id}, {"$set": {"expiresAt": past}})
        assert (await refresh(auth, ada.refresh_token)).status_code == 401

    async def test_ninety_days_are_the_end_however_often_it_was_refreshed(
        self, auth: ApiClient, ada: User, auth_database: AsyncDatabase[Document]
    ) -> None:
        query = {"_id": await session_of(auth_database, ada.refresh_token)}
        created_at = utc_now() - timedelta(days=89)
        await auth_database.sessions.update_one(query, {"$set": {"createdAt": created_at}})
        await rotated(auth, ada.refresh_token)
        session = await auth_database.sessions.find_one(query)
        assert session is not None
        assert session["expiresAt"] == created_at + timedelta(days=90)

    @pytest.mark.parametrize("collection", ["sessions", "refresh_tokens"])
    async def test_mongodb_deletes_what_is_expired(
        self, auth: ApiClient, auth_database: AsyncDatabase[Document], collection: str
    ) -> None:
        indexes = await auth_database[collection].index_information()
        assert indexes["expiresAt_1"]["expireAfterSeconds"] == 0
