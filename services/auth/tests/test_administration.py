"""What operators do with accounts, and that nobody else can."""

from typing import Any

import pytest
from chat_shared.testing import ApiClient, User

ACCOUNTS = "/internal/v1/accounts"
MISSING = "0" * 24
NEW = "another horse 43 battery"


@pytest.fixture
def operator(auth: ApiClient, service_headers: dict[str, str]) -> Any:
    """Calls a route of operators and returns the answer's body after a look at its status."""

    async def call(method: str, path: str = "", status: int = 200, **options: Any) -> Any:
        response = await auth.http.request(method, ACCOUNTS + path, headers=service_headers, **options)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    return call


async def refused_from_now_on(auth: ApiClient, user: User) -> bool:
    return (await auth.send("GET", "/auth/me", user)).status_code == 401


class TestFind:
    async def test_by_each_name(self, operator: Any, auth: ApiClient, ada: User) -> None:
        await auth.another_session(ada)
        for name in (ada.username.upper(), ada.email.upper(), ada.id):
            found = await operator("GET", "/find", params={"name": name})
            assert (found["id"], found["email"], found["sessionCount"]) == (ada.id, ada.email, 2)
            assert found["isOnline"] is False

    async def test_a_username_wins_over_an_id(self, operator: Any, auth: ApiClient, ada: User) -> None:
        namesake = await auth.register(ada.id)
        assert (await operator("GET", "/find", params={"name": ada.id}))["id"] == namesake.id

    @pytest.mark.parametrize("name", ["nobody-of-this-name", "nobody@example.org", MISSING])
    async def test_nobody(self, operator: Any, name: str) -> None:
        assert (await operator("GET", "/find", 404, params={"name": name}))["code"] == "user_not_found"


class TestList:
    async def test_in_pages(self, operator: Any, auth: ApiClient, ada: User) -> None:
        later = [(await auth.register()).id for _ in range(3)]
        first = await operator("GET", params={"after": ada.id, "limit": 2})
        assert [account["id"] for account in first["accounts"]] == later[:2]
        rest = await operator("GET", params={"after": first["next"], "limit": 100})
        assert rest["accounts"][0]["id"] == later[2]
        assert rest["next"] is None

    @pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"after": "x"}])
    async def test_bounds(self, operator: Any, query: dict[str, Any]) -> None:
        await operator("GET", "", 400, params=query)


class TestSignOut:
    async def test_ends_all_sessions(
        self, operator: Any, auth: ApiClient, ada: User, auth_events: Any
    ) -> None:
        other = await auth.another_session(ada)
        assert await operator("POST", f"/{ada.id}/sign-out") == {"ended": 2}
        assert await refused_from_now_on(auth, ada)
        assert await refused_from_now_on(auth, other)
        event = await auth_events.wait_for("session.revoked.v1", user_id=ada.id)
        assert (len(event.session_ids), event.reason) == (2, "revoked")
        assert await operator("POST", f"/{ada.id}/sign-out") == {"ended": 0}


class TestPassword:
    async def test_the_new_one_counts(self, operator: Any, auth: ApiClient, ada: User) -> None:
        ended = await operator("PUT", f"/{ada.id}/password", json={"newPassword": NEW})
        assert ended == {"ended": 1}
        assert await refused_from_now_on(auth, ada)
        for password, status in ((ada.password, 401), (NEW, 200)):
            body = {"username": ada.username, "password": password}
            assert (await auth.send("POST", "/auth/login", json=body)).status_code == status

    async def test_a_common_one_is_refused(self, operator: Any, auth: ApiClient, ada: User) -> None:
        problem = await operator("PUT", f"/{ada.id}/password", 400, json={"newPassword": "password1"})
        assert [error["field"] for error in problem["errors"]] == ["newPassword"]
        assert not await refused_from_now_on(auth, ada)


class TestDelete:
    async def test_everything_of_the_account_goes(
        self, operator: Any, auth: ApiClient, ada: User, auth_events: Any
    ) -> None:
        await operator("DELETE", f"/{ada.id}", 204)
        assert await refused_from_now_on(auth, ada)
        await auth_events.wait_for("user.deleted.v1", user_id=ada.id)
        await operator("GET", "/find", 404, params={"name": ada.id})


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/{}/sign-out"), ("PUT", "/{}/password"), ("DELETE", "/{}")],
)
async def test_nobody_there(operator: Any, method: str, path: str) -> None:
    body = {"json": {"newPassword": NEW}} if method == "PUT" else {}
    assert (await operator(method, path.format(MISSING), 404, **body))["code"] == "user_not_found"
    await operator(method, path.format("x"), 400, **body)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/find"), ("POST", "/{}/sign-out"), ("PUT", "/{}/password"), ("DELETE", "/{}")],
)
async def test_a_user_is_no_operator(auth: ApiClient, ada: User, method: str, path: str) -> None:
    response = await auth.http.request(method, ACCOUNTS + path.format(ada.id), headers=ada.headers)
    assert response.status_code == 401
    assert not await refused_from_now_on(auth, ada)


async def test_what_kind_of_installation_it_is(auth: ApiClient) -> None:
    assert await auth.data("GET", "/auth/environment") == {"environment": "development"}
