"""Who may call what: every route of the app, everybody, both kinds of rooms."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from chat_rooms.main import create_app
from chat_rooms.settings import Settings
from chat_shared.sessions import revocation_key
from chat_shared.testing import ApiClient, User
from fastapi.routing import APIRoute
from redis.asyncio import Redis
from starlette.routing import Router

ACTORS = ("anonymous", "outsider", "ex-member", "member", "admin", "owner")
OPEN = "/api/v1/room/public"


@dataclass(frozen=True)
class Row:
    """One route: what to send, and the status for each of `ACTORS`, or one status for all of them."""

    public: tuple[int, ...]
    private: tuple[int, ...]
    body: dict[str, Any] = field(default_factory=dict)


def everybody(status: int) -> tuple[int, ...]:
    """All actors get the same."""
    return (status,) * len(ACTORS)


SIGNED_IN = (401, 200, 200, 200, 200, 200)
MEMBERS_OF_PUBLIC = (401, 403, 403, 200, 200, 200)
MEMBERS_OF_PRIVATE = (401, 404, 404, 200, 200, 200)
MANAGERS_OF_PUBLIC = (401, 403, 403, 403, 200, 200)
MANAGERS_OF_PRIVATE = (401, 404, 404, 403, 200, 200)
OWNER_OF_PUBLIC = (401, 403, 403, 403, 403, 200)
OWNER_OF_PRIVATE = (401, 404, 404, 403, 403, 200)
CREATED = {200: 201}


def created(statuses: tuple[int, ...]) -> tuple[int, ...]:
    """The same, where success is 201."""
    return tuple(CREATED.get(status, status) for status in statuses)


# `{target}` is a plain member, `{stranger}` a user outside of the room.
MATRIX: dict[tuple[str, str], Row] = {
    ("POST", "/api/v1/room"): Row(created(SIGNED_IN), created(SIGNED_IN), {"roomName": "New"}),
    ("POST", "/api/v1/room/"): Row(created(SIGNED_IN), created(SIGNED_IN), {"roomName": "New"}),
    ("GET", "/api/v1/room"): Row(SIGNED_IN, SIGNED_IN),
    ("GET", "/api/v1/room/"): Row(SIGNED_IN, SIGNED_IN),
    ("GET", OPEN): Row(everybody(200), everybody(200)),
    ("GET", "/api/v1/room/{room_id}"): Row(SIGNED_IN, MEMBERS_OF_PRIVATE),
    ("PATCH", "/api/v1/room/{room_id}"): Row(
        MANAGERS_OF_PUBLIC, MANAGERS_OF_PRIVATE, {"description": "Other"}
    ),
    ("DELETE", "/api/v1/room/{room_id}"): Row(OWNER_OF_PUBLIC, OWNER_OF_PRIVATE),
    ("POST", "/api/v1/room/{room_id}/read"): Row(MEMBERS_OF_PUBLIC, MEMBERS_OF_PRIVATE, {"seq": 0}),
    ("POST", "/api/v1/room/{room_id}/join"): Row(
        (401, 200, 200, 409, 409, 409), (401, 404, 404, 409, 409, 409)
    ),
    ("GET", "/api/v1/room/{room_id}/members"): Row(MEMBERS_OF_PUBLIC, MEMBERS_OF_PRIVATE),
    ("DELETE", "/api/v1/room/{room_id}/members"): Row(MEMBERS_OF_PUBLIC, MEMBERS_OF_PRIVATE),
    ("POST", "/api/v1/room/{room_id}/members"): Row(
        created(MANAGERS_OF_PUBLIC), created(MANAGERS_OF_PRIVATE), {"userId": "{stranger}"}
    ),
    ("PATCH", "/api/v1/room/{room_id}/members/{user_id}"): Row(
        OWNER_OF_PUBLIC, OWNER_OF_PRIVATE, {"role": "admin"}
    ),
    ("DELETE", "/api/v1/room/{room_id}/members/{user_id}"): Row(MANAGERS_OF_PUBLIC, MANAGERS_OF_PRIVATE),
}

INTERNAL: dict[tuple[str, str], dict[str, Any]] = {
    ("GET", "/internal/v1/users/{user_id}/rooms"): {},
    ("POST", "/internal/v1/users/rooms"): {"userIds": ["0" * 24]},
    ("POST", "/internal/v1/memberships/check"): {"memberships": []},
}

PROBES = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/routez")}


def cells() -> Iterator[Any]:
    """Return one test for each route, kind of room and actor."""
    for (method, path), row in MATRIX.items():
        for room_type, statuses in (("public", row.public), ("private", row.private)):
            for actor, status in zip(ACTORS, statuses, strict=True):
                name = f"{method} {path.removeprefix('/api/v1')} {room_type} {actor}"
                yield pytest.param(method, path, row.body, room_type, actor, status, id=name)


async def test_every_route_of_the_app_is_in_the_matrix() -> None:
    settings = Settings(environment="development", service_token="x")  # type: ignore[arg-type]
    routes = {
        (method, route.path_format)
        for part in create_app(settings).routes
        for route in getattr(part, "original_router", Router([part])).routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert routes == set(MATRIX) | set(INTERNAL) | PROBES


@pytest.mark.parametrize(("method", "path", "body", "room_type", "actor", "status"), list(cells()))
async def test_cell(
    api: ApiClient,
    rooms: Any,
    new_user: Any,
    method: str,
    path: str,
    body: dict[str, Any],
    room_type: str,
    actor: str,
    status: int,
) -> None:
    users: dict[str, User | None] = {"anonymous": None, "outsider": new_user(), "owner": new_user()}
    room_id = await rooms.create(users["owner"], room_type)
    target, stranger = await rooms.add(room_id, users["owner"]), new_user()
    if actor in ("ex-member", "member", "admin"):
        role = "admin" if actor == "admin" else "member"
        users[actor] = await rooms.add(room_id, users["owner"], role)
    if actor == "ex-member":
        await api.data("DELETE", f"/room/{room_id}/members", users[actor])
    sent = {
        name: value.format(stranger=stranger.id) if isinstance(value, str) else value
        for name, value in body.items()
    }
    address = path.removeprefix("/api/v1").format(room_id=room_id, user_id=target.id)
    response = await api.send(method, address, users[actor], **({"json": sent} if sent else {}))
    assert response.status_code == status, response.text


@pytest.mark.parametrize(("method", "path"), INTERNAL)
@pytest.mark.parametrize("caller", ["nobody", "a user", "a guesser", "a service"])
async def test_internal_routes_are_for_services(
    api: ApiClient, backing: Any, new_user: Any, method: str, path: str, caller: str
) -> None:
    user = new_user()
    headers = {
        "nobody": {},
        "a user": user.headers,
        "a guesser": {"x-service-token": "x" * 43},
        "a service": {"x-service-token": backing.secrets["chat_service_token"]},
    }[caller]
    body = INTERNAL[method, path]
    options = {"json": body} if body else {}
    response = await api.http.request(method, path.format(user_id=user.id), headers=headers, **options)
    assert response.status_code == (200 if caller == "a service" else 401)


class TestPrivateRooms:
    """A private room shows nobody outside that it exists (no name, members or counts)."""

    NAME = "Xylophone conspiracy"

    async def test_no_route_tells_an_outsider_more_than_of_no_room(
        self, api: ApiClient, rooms: Any, new_user: Any
    ) -> None:
        outsider, owner = new_user(), new_user()
        room_id = await rooms.create(owner, "private", self.NAME)
        routes = [(method, path) for method, path in MATRIX if "{room_id}" in path]
        # About a member and about somebody who is none: no difference may tell who is inside.
        for (method, path), target in product(routes, (owner.id, new_user().id)):
            body = MATRIX[method, path].body
            sent = {**body, "userId": target} if "userId" in body else body
            answers = []
            for room in (room_id, "0" * 24):
                address = path.removeprefix("/api/v1").format(room_id=room, user_id=target)
                options = {"json": sent} if sent else {}
                response = await api.send(method, address, outsider, **options)
                answers.append(response.text.replace(f"/api/v1{address}", "…"))
            assert answers[0] == answers[1], (method, path)
            assert self.NAME not in answers[0]
            assert owner.id not in answers[0]

    async def test_no_list_shows_it(self, api: ApiClient, rooms: Any, new_user: Any) -> None:
        outsider = new_user()
        room_id = await rooms.create(new_user(), "private", self.NAME)
        for path, user in (("/room/public", None), ("/room/public", outsider), ("/room", outsider)):
            for search in ({}, {"q": self.NAME}, {"q": "xylo"}):
                response = await api.send("GET", path, user, params={"limit": "100", **search})
                assert response.status_code == 200
                assert room_id not in response.text
                assert self.NAME not in response.text

    async def test_who_was_put_out_sees_as_little_as_anybody(
        self, api: ApiClient, rooms: Any, new_user: Any, ask: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner, "private", self.NAME)
        member = await rooms.add(room_id, owner)
        await api.data("DELETE", f"/room/{room_id}/members/{member.id}", owner)
        await api.refused("GET", f"/room/{room_id}", member, status=404, code="room_not_found")
        assert await api.data("GET", "/room", member) == []
        assert (await ask("GET", f"/users/{member.id}/rooms")).json() == {"rooms": []}


class TestSessions:
    async def test_a_token_of_an_ended_session_counts_no_more(
        self, api: ApiClient, neighbours: Any, new_user: Any, backing: Any
    ) -> None:
        user = new_user()
        user.access_token = neighbours.access_token(user.id, "session-that-ends")
        await api.data("GET", "/room", user)
        async with Redis.from_url(backing.redis_url) as redis:
            await redis.set(revocation_key("session-that-ends"), 1)
            await api.refused("GET", "/room", user, status=401, code="unauthenticated")

    @pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "other"}, {"iss": "other"}, {"sub": 5}])
    async def test_a_token_that_is_not_for_us_is_refused(
        self, api: ApiClient, neighbours: Any, new_user: Any, claims: dict[str, Any]
    ) -> None:
        user = new_user()
        user.access_token = neighbours.access_token(user.id, **claims)
        await api.refused("GET", "/room", user, status=401, code="unauthenticated")
