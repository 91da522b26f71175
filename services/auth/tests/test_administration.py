"""What operators do with accounts, and that nobody else can."""

import secrets
from typing import Any

import pytest
from bson import ObjectId
from chat_shared.testing import ApiClient, User

ACCOUNTS = "/internal/v1/accounts"
MISSING = "0" * 24
NEW = "another horse 43 battery"
REGISTER_LIMIT = 20
"""Registrations from one address in an hour, as `conftest.py` sets it."""


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

    async def test_a_username_that_looks_like_an_id(self, operator: Any, auth: ApiClient) -> None:
        user = await auth.register(str(ObjectId()))
        assert (await operator("GET", "/find", params={"name": user.username}))["id"] == user.id

    async def test_who_took_the_id_of_another_as_username(
        self, operator: Any, auth: ApiClient, ada: User
    ) -> None:
        namesake = await auth.register(ada.id)
        problem = await operator("GET", "/find", 409, params={"name": ada.id})
        assert problem["code"] == "ambiguous_name"
        for told in (ada.username, ada.email, namesake.id, namesake.email):
            assert told in problem["message"]
        for user in (ada, namesake):
            assert (await operator("GET", "/find", params={"name": user.email}))["id"] == user.id

    @pytest.mark.parametrize("name", ["nobody-of-this-name", "nobody@example.org", MISSING])
    async def test_nobody(self, operator: Any, name: str) -> None:
        assert (await operator("GET", "/find", 404, params={"name": name}))["code"] == "user_not_found"


class TestCreate:
    def body(self) -> dict[str, str]:
        name = f"made_{secrets.token_hex(6)}"
        return {"username": name, "email": f"{name}@example.org", "password": NEW}

    async def test_is_told_to_others_and_noted_as_the_operators(
        self, operator: Any, auth: ApiClient, auth_events: Any, auth_processes: Any, audit_of: Any
    ) -> None:
        body = self.body()
        made = await operator("POST", "", 201, json={**body, "firstname": "Carol"})
        assert (made["username"], made["firstname"]) == (body["username"], "Carol")
        await auth_events.wait_for("user.registered.v1", user_id=made["id"])
        await auth.login(User("", body["username"], "", NEW))
        [line] = [line for line in audit_of(auth_processes[0]) if line.get("user_id") == made["id"]][:1]
        assert (line["action"], line["by"]) == ("registered", "operator")

    async def test_there_is_no_limit_as_for_strangers(self, operator: Any, auth: ApiClient) -> None:
        for _ in range(REGISTER_LIMIT + 1):
            await operator("POST", "", 201, json=self.body())
        await auth.register()

    async def test_what_is_refused(self, operator: Any, ada: User) -> None:
        taken = {**self.body(), "username": ada.username}
        assert (await operator("POST", "", 409, json=taken))["code"] == "account_taken"
        for wrong in ({"password": "password1"}, {"username": "a b"}, {"role": "admin"}):
            problem = await operator("POST", "", 400, json={**self.body(), **wrong})
            assert [error["field"] for error in problem["errors"]] == [*wrong]


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
    [
        ("POST", ""),
        ("GET", ""),
        ("GET", "/find"),
        ("POST", "/{}/sign-out"),
        ("PUT", "/{}/password"),
        ("DELETE", "/{}"),
    ],
)
async def test_a_user_is_no_operator(auth: ApiClient, ada: User, method: str, path: str) -> None:
    response = await auth.http.request(method, ACCOUNTS + path.format(ada.id), headers=ada.headers)
    assert response.status_code == 401
    assert not await refused_from_now_on(auth, ada)


async def test_what_kind_of_installation_it_is(auth: ApiClient) -> None:
    assert await auth.data("GET", "/auth/environment") == {"environment": "development"}
