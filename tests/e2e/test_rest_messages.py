"""Messages over REST: history in every direction, and the same append as over a socket."""

import secrets
from io import BytesIO
from typing import Any

import pytest
import pytest_asyncio
from chat_shared.testing import (
    ApiClient,
    NewRoom,
    User,
    check_message,
    eventually,
    problem_body,
    success_body,
)
from PIL import Image

UNKNOWN = "0" * 24


def seqs(history: dict[str, Any]) -> list[int]:
    """Return the positions of a page after checking every message of it."""
    return [check_message(message).seq for message in history["messages"]]


@pytest_asyncio.fixture(scope="module")
async def log(api: ApiClient, new_room: NewRoom, alice: User, bob: User) -> dict[str, Any]:
    """A room of alice and bob with twelve messages in it, which no test adds to."""
    room = await new_room(alice, bob)
    for number in range(1, 13):
        writer = alice if number % 2 else bob
        body = {"content": f"line {number}"}
        await api.call("POST", f"/room/{room['id']}/messages", writer, status=201, json=body)
    return room


@pytest.fixture(scope="module")
def path(log: dict[str, Any]) -> str:
    """Where the messages of that room are."""
    return f"/room/{log['id']}/messages"


class TestHistory:
    """GET /room/{roomId}/messages"""

    async def test_oldest_first(self, api: ApiClient, alice: User, bob: User, path: str) -> None:
        history = await api.data("GET", path, bob)
        assert set(history) == {"messages", "head", "totalMessage"}
        assert (history["head"], history["totalMessage"]) == (12, 12)
        assert seqs(history) == list(range(1, 13))
        first, second = history["messages"][:2]
        assert (first["senderId"], first["content"]) == (alice.id, "line 1")
        assert (second["senderId"], second["content"]) == (bob.id, "line 2")

    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            ({"limit": "3"}, [10, 11, 12]),
            ({"limit": "3", "before": "10"}, [7, 8, 9]),
            ({"limit": "3", "before": "2"}, [1]),
            ({"before": "1"}, []),
            ({"limit": "3", "after": "0"}, [1, 2, 3]),
            ({"limit": "3", "after": "11"}, [12]),
            ({"after": "12"}, []),
            ({"after": "999"}, []),
            ({"limit": "3", "skip": "2"}, [8, 9, 10]),
            ({"limit": "3", "skip": "11"}, [1]),
            ({"skip": "12"}, []),
        ],
    )
    async def test_pages(
        self, api: ApiClient, alice: User, path: str, params: dict[str, str], expected: list[int]
    ) -> None:
        history = await api.data("GET", path, alice, params=params)
        assert seqs(history) == expected
        assert history["head"] == 12

    async def test_empty_room(self, api: ApiClient, new_room: NewRoom, alice: User) -> None:
        room = await new_room(alice)
        history = await api.data("GET", f"/room/{room['id']}/messages", alice)
        assert history == {"messages": [], "head": 0, "totalMessage": 0}

    @pytest.mark.parametrize(
        "params",
        [
            {"limit": "0"},
            {"limit": "101"},
            {"limit": "ten"},
            {"after": "-1"},
            {"before": "x"},
            {"skip": "-1"},
            {"after": "9" * 20},
        ],
    )
    async def test_bad_query(self, api: ApiClient, alice: User, path: str, params: dict[str, str]) -> None:
        problem = await api.refused("GET", path, alice, status=400, code="validation_failed", params=params)
        assert problem.errors

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, carol: User, path: str
    ) -> None:
        private = await new_room(alice, roomType="private")
        await api.refused("GET", path, carol, status=403, code="not_a_member")
        for room_id in (private["id"], UNKNOWN):
            await api.refused("GET", f"/room/{room_id}/messages", carol, status=404, code="room_not_found")

    async def test_ex_member(self, api: ApiClient, new_room: NewRoom, alice: User, carol: User) -> None:
        room = await new_room(alice, carol)
        messages = f"/room/{room['id']}/messages"
        await api.call("POST", messages, carol, status=201, json={"content": "bye"})
        await api.call("DELETE", f"/room/{room['id']}/members/{carol.id}", alice)

        await api.refused("GET", messages, carol, status=403, code="not_a_member")

        async def shut_out() -> bool:
            response = await api.send("POST", messages, carol, json={"content": "hm"})
            return response.status_code == 403 and problem_body(response).code == "not_a_member"

        await eventually(shut_out, timeout=1, what="messaging heard of the removal")


class TestSend:
    """POST /room/{roomId}/messages"""

    async def test_valid(self, api: ApiClient, new_room: NewRoom, alice: User) -> None:
        room = await new_room(alice)
        path = f"/room/{room['id']}/messages"
        body = {"content": "grüße 👋\nsecond line", "messageType": "text", "clientMessageId": "mine-1"}
        sent = await api.data("POST", path, alice, status=201, json=body)
        assert (sent["seq"], sent["duplicate"]) == (1, False)
        message = (await api.data("GET", path, alice))["messages"][0]
        stored = check_message(message)
        assert (stored.content, stored.client_message_id) == (body["content"], "mine-1")
        assert (stored.message_id, message["createdAt"]) == (sent["messageId"], sent["createdAt"])

    @pytest.mark.parametrize("place", ["header", "body"])
    async def test_repeat_gets_the_first_answer(
        self, api: ApiClient, new_room: NewRoom, alice: User, place: str
    ) -> None:
        room = await new_room(alice)
        path = f"/room/{room['id']}/messages"
        key = secrets.token_hex(8)

        def request(content: str) -> dict[str, Any]:
            if place == "header":
                return {"json": {"content": content}, "headers": {"idempotency-key": key}}
            return {"json": {"content": content, "clientMessageId": key}}

        first = await api.data("POST", path, alice, status=201, **request("once"))
        response = await api.send("POST", path, alice, **request("once"))
        again = success_body(response, response.status_code)["data"]
        assert again == {**first, "duplicate": True}
        conflict = await api.send("POST", path, alice, **request("something else"))
        problem = problem_body(conflict)
        assert (problem.status, problem.code, problem.retryable) == (409, "idempotency_conflict", False)
        assert (await api.data("GET", path, alice))["head"] == 1

    async def test_image(self, api: ApiClient, new_room: NewRoom, alice: User) -> None:
        room = await new_room(alice)
        path = f"/room/{room['id']}/messages"
        buffer = BytesIO()
        Image.new("RGB", (4, 4), "red").save(buffer, "PNG")
        files = {"image": ("a.png", buffer.getvalue(), "image/png")}
        image = await api.data("POST", "/upload/image", alice, status=201, files=files)
        body = {"content": "", "messageType": "image", "imageUrl": image["url"]}
        await api.call("POST", path, alice, status=201, json=body)
        message = check_message((await api.data("GET", path, alice))["messages"][0])
        assert (message.message_type, message.image_url) == ("image", image["url"])

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"content": ""},
            {"content": " \n "},
            {"content": "x" * 4001},
            {"content": 7},
            {"content": {"$ne": ""}},
            {"content": "a", "messageType": "video"},
            {"content": "a", "imageUrl": "/media/x"},
            {"messageType": "image"},
            {"content": "a", "senderId": UNKNOWN},
            {"content": "a", "seq": 1},
            {"content": "a", "clientMessageId": "x" * 65},
            {"content": "a", "clientMessageId": "two words"},
        ],
    )
    async def test_bad_body(self, api: ApiClient, alice: User, path: str, body: dict[str, Any]) -> None:
        problem = await api.refused("POST", path, alice, status=400, code="validation_failed", json=body)
        assert problem.errors

    @pytest.mark.parametrize(
        "url", ["http://169.254.169.254/latest", "https://evil.example/a.png", f"/media/{UNKNOWN}"]
    )
    async def test_image_that_is_not_ours(self, api: ApiClient, alice: User, path: str, url: str) -> None:
        body = {"messageType": "image", "imageUrl": url}
        response = await api.send("POST", path, alice, json=body)
        assert problem_body(response).code in ("image_not_found", "validation_failed")
        assert response.status_code in (400, 404)

    async def test_refusals(
        self, api: ApiClient, new_room: NewRoom, alice: User, carol: User, path: str
    ) -> None:
        private = await new_room(alice, roomType="private")
        body = {"json": {"content": "let me in"}}
        await api.refused("POST", path, carol, status=403, code="not_a_member", **body)
        for room_id in (private["id"], UNKNOWN):
            await api.refused(
                "POST", f"/room/{room_id}/messages", carol, status=404, code="room_not_found", **body
            )
        assert (await api.data("GET", path, alice))["head"] == 12
