"""What holds for every route: who is let in, what is malformed, and what nobody reaches from outside."""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient, NewRoom, User, problem_body

if TYPE_CHECKING:
    from chat_local.stack import Stack

ID = "0" * 23 + "1"
JSON = {"unknown_field": 1}

#: Every route that needs a login: method, path with `{id}` where an id belongs, JSON body or None.
ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/auth/me", None),
    ("PATCH", "/auth/me", JSON),
    ("DELETE", "/auth/me", JSON),
    ("POST", "/auth/password", JSON),
    ("POST", "/auth/logout", None),
    ("GET", "/auth/sessions", None),
    ("DELETE", "/auth/sessions/{id}", None),
    ("GET", "/users/{id}", None),
    ("GET", f"/users?ids={ID}", None),
    ("POST", "/room", JSON),
    ("POST", "/room/", JSON),
    ("GET", "/room", None),
    ("GET", "/room/{id}", None),
    ("PATCH", "/room/{id}", JSON),
    ("DELETE", "/room/{id}", None),
    ("POST", "/room/{id}/join", None),
    ("GET", "/room/{id}/members", None),
    ("POST", "/room/{id}/members", JSON),
    ("DELETE", "/room/{id}/members", None),
    ("PATCH", "/room/{id}/members/" + ID, JSON),
    ("DELETE", "/room/{id}/members/" + ID, None),
    ("POST", "/room/{id}/read", JSON),
    ("GET", "/room/{id}/messages", None),
    ("POST", "/room/{id}/messages", JSON),
    ("POST", "/upload/image", None),
    ("POST", "/upload/file", None),
    ("GET", "/media/{id}/link", None),
    ("DELETE", "/media/{id}", None),
]
WITH_ID = [(method, path) for method, path, _ in ROUTES if "{id}" in path]
WITH_BODY = [(method, path) for method, path, body in ROUTES if body is not None]
CHANGING = [(method, path) for method, path, _ in ROUTES if method != "GET"]


def as_ids(routes: list[Any]) -> list[str]:
    """Return readable names of parametrized routes."""
    return [f"{route[0]} {route[1]}" for route in routes]


class TestEveryRoute:
    @pytest.mark.parametrize("route", ROUTES, ids=as_ids(ROUTES))
    async def test_needs_a_valid_token(
        self, api: ApiClient, alice: User, route: tuple[str, str, dict[str, Any] | None]
    ) -> None:
        method, path, _ = route
        header, payload, signature = alice.access_token.split(".")
        forged = f"{header}.{payload}.{signature[:-4]}AAAA"
        for headers in ({}, {"authorization": f"Bearer {forged}"}, {"authorization": "Bearer x"}):
            await api.refused(method, path.format(id=ID), status=401, code="unauthenticated", headers=headers)

    @pytest.mark.parametrize("route", WITH_ID, ids=as_ids(WITH_ID))
    async def test_malformed_id(self, api: ApiClient, alice: User, route: tuple[str, str]) -> None:
        method, path = route
        for bad in ("not-an-id", "0" * 25, "$ne"):
            problem = await api.refused(
                method, path.format(id=bad), alice, status=400, code="validation_failed"
            )
            assert problem.errors

    @pytest.mark.parametrize("route", WITH_BODY, ids=as_ids(WITH_BODY))
    async def test_unknown_field(
        self, api: ApiClient, new_room: NewRoom, alice: User, route: tuple[str, str]
    ) -> None:
        method, path = route
        room_id = (await new_room(alice))["id"] if "{id}" in path else ""
        problem = await api.refused(
            method, path.format(id=room_id), alice, status=400, code="validation_failed", json=JSON
        )
        assert "unknown_field" in [error.field for error in problem.errors]

    @pytest.mark.parametrize("route", CHANGING, ids=as_ids(CHANGING))
    async def test_cookie_from_a_foreign_page(
        self, api: ApiClient, alice: User, route: tuple[str, str]
    ) -> None:
        method, path = route
        await api.refused(
            method,
            path.format(id=ID),
            status=403,
            code="origin_refused",
            headers={"origin": "https://evil.example"},
            cookies={"accessToken": alice.access_token},
        )


class TestUnknownPaths:
    @pytest.mark.parametrize("path", ["/nothing", "/auth/nothing", "/room/x/y/z", "/upload/nothing"])
    async def test_below_the_api(self, api: ApiClient, alice: User, path: str) -> None:
        assert problem_body(await api.send("GET", path, alice)).status == 404

    async def test_unknown_method(self, api: ApiClient, alice: User) -> None:
        await api.refused("PUT", "/room", alice, status=405, code="method_not_allowed", json={})

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/room", "GET, POST"),
            ("PUT", f"/room/{ID}", "DELETE, GET, PATCH"),
            ("PATCH", f"/room/{ID}/messages/", "GET, POST"),
            ("DELETE", "/room/public", "GET"),
        ],
    )
    async def test_all_methods_of_a_path_are_named(
        self, api: ApiClient, alice: User, method: str, path: str, allowed: str
    ) -> None:
        response = await api.send(method, path, alice)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)

    async def test_large_body(self, api: ApiClient, alice: User) -> None:
        response = await api.send("POST", "/room", alice, json={"roomName": "x" * 1_100_000})
        assert response.status_code == 413


class TestHeaders:
    async def test_request_id_comes_back(self, api: ApiClient, alice: User) -> None:
        sent = await api.send("GET", "/auth/me", alice, headers={"x-request-id": "abc-123"})
        assert sent.headers["x-request-id"] == "abc-123"
        made = await api.send("GET", "/auth/me", alice)
        assert len(made.headers["x-request-id"]) > 10

    async def test_nothing_of_the_framework_shows(self, api: ApiClient, alice: User) -> None:
        response = await api.send("GET", "/auth/me", alice)
        assert "server" not in response.headers
        assert response.headers["x-content-type-options"] == "nosniff"

    async def test_no_cross_origin_access(self, api: ApiClient, alice: User) -> None:
        for origin in ("https://evil.example", "null", f"{api.base_url}.evil.example"):
            response = await api.send("GET", "/auth/me", alice, headers={"origin": origin})
            assert "access-control-allow-origin" not in response.headers


class TestPublicKeys:
    """GET /.well-known/jwks.json"""

    async def test_public_part_only(self, api: ApiClient) -> None:
        response = await api.http.get("/.well-known/jwks.json")
        assert response.status_code == 200
        keys = response.json()["keys"]
        assert keys
        for key in keys:
            assert {"kty", "crv", "kid", "x"} <= set(key)
            assert "d" not in key, "the private part of a signing key"


async def status_of(url: str, path: str, headers: dict[str, str]) -> int:
    """Return the status of a GET whose path is sent as it stands; clients would tidy it up."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = [f"GET {path} HTTP/1.1", f"host: {parts.netloc}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    async with asyncio.timeout(5):
        status_line = await reader.readline()
    writer.close()
    return int(status_line.split()[1])


INTERNAL = [
    "/internal/v1/sessions/check",
    f"/internal/v1/users/{ID}/rooms",
    f"/internal/v1/rooms/{ID}/history?limit=1",
    "/api/v1/../../internal/v1/heads",
    f"/api/v1/room/../../../internal/v1/users/{ID}/rooms",
    f"/api/v1/room/%2e%2e/%2e%2e/%2e%2e/internal/v1/users/{ID}/rooms",
    f"/api/v1/room/..%2f..%2f..%2finternal/v1/users/{ID}/rooms",
    f"//internal/v1/users/{ID}/rooms",
    f"/media/../internal/v1/users/{ID}/rooms",
]
PROBES = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/routez",
    "/api/v1/healthz",
    "/api/v1/metrics",
    "/api/v1/room/../../../metrics",
]


class TestNotFromOutside:
    @pytest.mark.parametrize("path", INTERNAL + PROBES)
    async def test_has_no_way_in(self, chat_url: str, path: str) -> None:
        assert await status_of(chat_url, path, {}) in (400, 404)

    @pytest.mark.parametrize("path", INTERNAL)
    async def test_not_even_with_the_service_token(self, own_stack: "Stack", path: str) -> None:
        headers = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}
        assert await status_of(own_stack.url, path, headers) in (400, 404)

    async def test_services_answer_their_probes(self, own_stack: "Stack", api: ApiClient) -> None:
        for service in ("auth", "rooms", "messaging", "media", "gateway-ws"):
            for instance in own_stack.instances(service):
                for path in ("/healthz", "/readyz", "/metrics"):
                    response = await api.http.get(f"{instance.url}{path}")
                    assert response.status_code == 200, (instance.name, path, response.text)

    async def test_internal_routes_need_the_service_token(
        self, own_stack: "Stack", api: ApiClient, alice: User
    ) -> None:
        rooms = own_stack.instances("rooms")[0].url
        path = f"{rooms}/internal/v1/users/{alice.id}/rooms"
        for headers in ({}, alice.headers, {SERVICE_TOKEN_HEADER: "x" * 43}):
            assert problem_body(await api.http.get(path, headers=headers)).status == 401
        known = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}
        assert (await api.http.get(path, headers=known)).status_code == 200
