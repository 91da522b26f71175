"""Bad input: every field of every body and path, refused with what is wrong and without a trace."""

from collections.abc import Iterator
from typing import Any

import pytest
from chat_shared.contracts.envelope import Problem
from chat_shared.testing import ApiClient

ROOM = "/room/{room_id}"
JSON = {"content-type": "application/json"}

#: Method, path, and a body that is right.
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/room", {"roomName": "Name", "roomType": "public", "description": "Text"}),
    ("PATCH", ROOM, {"roomName": "Name", "roomType": "public", "description": "Text"}),
    ("POST", f"{ROOM}/members", {"userId": "0" * 24, "role": "member"}),
    ("PATCH", f"{ROOM}/members/{{user_id}}", {"role": "admin"}),
    ("POST", f"{ROOM}/read", {"seq": 0}),
]

#: What an attacker puts in the place of a value; none may come near a query.
OPERATORS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "sleep(1000)"},
    {"$in": []},
    [],
    ["a", "b"],
    [{"$ne": 1}],
]

WRONG: dict[str, list[Any]] = {
    "roomName": ["", " ", "x", " x ", "x" * 81, "a\nb", "a\x00b", "a\u2028b", 5, True, None],
    "roomType": ["", "Public", "secret", 1, None],
    "description": ["x" * 351, "a\x00b", 5, None],
    "userId": ["", "x", "0" * 23, "0" * 25, "0" * 23 + "G", "A" * 24, "0" * 24 + "\n", 5, None],
    "role": ["", "Admin", "god", 1, None],
    "seq": ["0", None],
}
#: Null leaves a thing as it is.
NULLABLE = {("PATCH", ROOM, name) for name in ("roomName", "roomType", "description")}

SERVER_OWNED = [
    "_id",
    "id",
    "createdBy",
    "members",
    "memberCount",
    "rev",
    "lastSeq",
    "createdAt",
    "updatedAt",
    "deletedAt",
    "role",
    "roomId",
    "userId",
    "$set",
    "__proto__",
]


def bad_values() -> Iterator[Any]:
    """Return each field of each body with each wrong value."""
    for method, path, body in BODIES:
        for name in body:
            for value in [*OPERATORS, *WRONG[name]]:
                if value is not None or (method, path, name) not in NULLABLE:
                    bad = {**body, name: value}
                    yield pytest.param(method, path, bad, name, id=f"{method} {path} {name}={value!r:.30}")


def foreign_fields() -> Iterator[Any]:
    """Return each body with each field that is not the caller's to set."""
    for method, path, body in BODIES:
        for name in SERVER_OWNED:
            if name not in body:
                yield pytest.param(
                    method, path, {**body, name: "0" * 24}, name, id=f"{method} {path} +{name}"
                )


@pytest.fixture
def in_a_room(api: ApiClient, rooms: Any, new_user: Any) -> Any:
    """Send something as the owner of a fresh room."""

    async def send(method: str, path: str, code: str = "validation_failed", **options: Any) -> Problem:
        owner = new_user()
        room_id = await rooms.create(owner)
        address = path.format(room_id=room_id, user_id=new_user().id)
        return await api.refused(method, address, owner, status=400, code=code, **options)

    return send


@pytest.mark.parametrize(("method", "path", "body", "name"), list(bad_values()))
async def test_a_wrong_value_is_named(
    in_a_room: Any, method: str, path: str, body: dict[str, Any], name: str
) -> None:
    problem = await in_a_room(method, path, json=body)
    assert {error.field.split(".")[0] for error in problem.errors} == {name}


@pytest.mark.parametrize(("method", "path", "body", "name"), list(foreign_fields()))
async def test_a_field_of_the_server_is_refused(
    in_a_room: Any, method: str, path: str, body: dict[str, Any], name: str
) -> None:
    problem = await in_a_room(method, path, json=body)
    assert [error.field for error in problem.errors] == [name]


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'"x"', b"{", b'{"\\ud800": 1}', b"a=1"])
async def test_a_body_that_is_no_object_is_refused(
    in_a_room: Any, method: str, path: str, body: dict[str, Any], raw: bytes
) -> None:
    await in_a_room(method, path, content=raw, headers=JSON)


@pytest.mark.parametrize(("method", "path", "body"), BODIES)
@pytest.mark.parametrize("raw", [b"\xff", b"[" * 20_000], ids=["no text", "deep"])
async def test_a_body_that_cannot_be_read_is_refused(
    in_a_room: Any, method: str, path: str, body: dict[str, Any], raw: bytes
) -> None:
    await in_a_room(method, path, "bad_request", content=raw, headers=JSON)


async def test_a_name_that_is_no_text_is_refused(in_a_room: Any) -> None:
    raw = b'{"roomName": "\\ud800 broken"}'
    await in_a_room("POST", "/room", content=raw, headers=JSON)


async def test_a_large_body_is_refused(api: ApiClient, new_user: Any) -> None:
    body = {"roomName": "x" * 300_000}
    await api.refused("POST", "/room", new_user(), status=413, code="content_too_large", json=body)


@pytest.mark.parametrize(
    "bad", ["x", "0" * 23, "0" * 25, "G" * 24, "A" * 24, "%00", "$ne", "[$ne]", "null", "{}"]
)
async def test_a_malformed_id_is_refused(api: ApiClient, rooms: Any, new_user: Any, bad: str) -> None:
    owner = new_user()
    room_id = await rooms.create(owner)
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/room/{bad}", None),
        ("PATCH", f"/room/{bad}", {"roomName": "Name"}),
        ("DELETE", f"/room/{bad}", None),
        ("POST", f"/room/{bad}/join", None),
        ("GET", f"/room/{bad}/members", None),
        ("DELETE", f"/room/{bad}/members", None),
        ("POST", f"/room/{bad}/members", {"userId": "0" * 24}),
        ("PATCH", f"/room/{bad}/members/{owner.id}", {"role": "member"}),
        ("DELETE", f"/room/{bad}/members/{owner.id}", None),
        ("POST", f"/room/{bad}/read", {"seq": 0}),
        ("PATCH", f"/room/{room_id}/members/{bad}", {"role": "member"}),
        ("DELETE", f"/room/{room_id}/members/{bad}", None),
    ]
    for method, path, body in calls:
        options = {} if body is None else {"json": body}
        await api.refused(method, path, owner, status=400, code="validation_failed", **options)


@pytest.mark.parametrize("query", ["q[$ne]=x", "q[$regex]=.*", "after[$gt]=", "limit[$gt]=0"])
async def test_operators_in_the_query_are_no_parameters(
    api: ApiClient, rooms: Any, new_user: Any, query: str
) -> None:
    hidden = await rooms.create(new_user(), "private")
    response = await api.send("GET", f"/room/public?{query}")
    assert response.status_code == 200
    assert hidden not in response.text


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "'; DROP TABLE rooms; --", "{{7*7}}", "👩‍👩‍👧 family", "\u202eabc"]
)
async def test_text_is_kept_as_it_is(api: ApiClient, rooms: Any, new_user: Any, text: str) -> None:
    owner = new_user()
    room_id = await rooms.create(owner, name=text)
    response = await api.send("GET", f"/room/{room_id}", owner)
    assert response.json()["data"]["roomName"] == text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-type"] == "application/json"
