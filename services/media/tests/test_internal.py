"""The routes for the other services."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId
from chat_shared.testing import ApiClient, User, problem_body
from PIL import Image

if TYPE_CHECKING:
    from conftest import Media

MakePicture = Callable[..., bytes]

UNKNOWN = "0" * 24


class TestServiceToken:
    @pytest.mark.parametrize("path", [f"/avatars?userId={UNKNOWN}", "/media/attach"])
    @pytest.mark.parametrize("token", [None, "", "x" * 43])
    async def test_is_needed(self, media: "Media", alice: User, path: str, token: str | None) -> None:
        headers = alice.headers if token is None else {"x-service-token": token}
        response = await media.api.http.post(f"/internal/v1{path}", headers=headers)
        assert problem_body(response).status == 401

    async def test_no_way_in_from_outside(self, media: "Media", people: ApiClient) -> None:
        headers = {"x-service-token": media.service_token}
        response = await people.http.post("/internal/v1/media/attach", headers=headers, json={})
        assert response.status_code == 404


class TestAvatars:
    async def test_through_auth(self, people: ApiClient, media: "Media", picture: MakePicture) -> None:
        fields = {
            "username": f"a{ObjectId()}",
            "email": f"{ObjectId()}@example.org",
            "password": "blue horse 42 x",
        }
        body = await people.data(
            "POST",
            "/auth/register",
            status=201,
            data=fields,
            files={"avatar": ("me.jpg", picture("JPEG", (1000, 1000)))},
        )
        url = body.get("user", body)["avatarUrl"]
        response = await people.http.get(url)
        assert response.status_code == 200
        assert Image.open(BytesIO(response.content)).size == (512, 512)

    @pytest.mark.parametrize(
        ("content", "status", "code"),
        [
            (b"text", 415, "unsupported_image"),
            (b"", 400, "validation_failed"),
            (bytes(10 * 1024 * 1024 + 1), 413, "content_too_large"),
        ],
    )
    async def test_refused(self, media: "Media", content: bytes, status: int, code: str) -> None:
        files = {"image": ("avatar", content)}
        response = await media.internal("POST", f"/avatars?userId={UNKNOWN}", files=files)
        problem = problem_body(response)
        assert (problem.status, problem.code) == (status, code)

    @pytest.mark.parametrize("query", ["", "?userId=x", "?userId[$ne]=x"])
    async def test_malformed_user(self, media: "Media", picture: MakePicture, query: str) -> None:
        response = await media.internal("POST", f"/avatars{query}", files={"image": ("a", picture())})
        assert problem_body(response).status == 400


class TestAttach:
    async def attach(self, media: "Media", *items: tuple[str, str, User]) -> list[bool]:
        attachments = [
            {"mediaId": media_id, "roomId": room_id, "userId": user.id} for media_id, room_id, user in items
        ]
        response = await media.internal("POST", "/media/attach", json={"attachments": attachments})
        assert response.status_code == 200, response.text
        accepted: list[bool] = response.json()["accepted"]
        return accepted

    async def test_lets_the_room_see_it(
        self, media: "Media", people: ApiClient, alice: User, bob: User, picture: MakePicture
    ) -> None:
        body = {"roomName": "A room", "roomType": "private"}
        room = (await people.data("POST", "/room", alice, status=201, json=body))["id"]
        await people.data("POST", f"/room/{room}/members", alice, status=201, json={"userId": bob.id})
        image = (await media.image(alice, picture()))["mediaId"]
        assert (await media.get(image, bob)).status_code == 404
        assert await self.attach(media, (image, room, alice)) == [True]
        assert (await media.get(image, bob)).status_code == 200

    async def test_verdicts_in_order(
        self, media: "Media", alice: User, bob: User, picture: MakePicture
    ) -> None:
        room, other_room = str(ObjectId()), str(ObjectId())
        image = (await media.image(alice, picture()))["mediaId"]
        file = (await media.file(alice))["mediaId"]
        avatar = await media.avatar(alice, picture())
        verdicts = await self.attach(
            media,
            (UNKNOWN, room, alice),
            (image, room, bob),
            (image, room, alice),
            (file, room, alice),
            (avatar, room, alice),
        )
        assert verdicts == [False, False, True, True, False]
        again = await self.attach(media, (image, room, bob), (image, other_room, bob), (image, room, alice))
        assert again == [True, False, True]

    async def test_refused_one_is_not_noted(
        self, media: "Media", alice: User, bob: User, database: Any
    ) -> None:
        file = (await media.file(alice))["mediaId"]
        assert await self.attach(media, (file, str(ObjectId()), bob)) == [False]
        record = await database.files.find_one({"_id": ObjectId(file)})
        assert record["roomIds"] == []

    async def test_deleted(self, media: "Media", alice: User) -> None:
        file = (await media.file(alice))["mediaId"]
        await media.api.data("DELETE", f"/media/{file}", alice)
        assert await self.attach(media, (file, str(ObjectId()), alice)) == [False]

    async def test_a_thousand(self, media: "Media", alice: User) -> None:
        file = (await media.file(alice))["mediaId"]
        room = str(ObjectId())
        assert await self.attach(media, *[(file, room, alice)] * 1000) == [True] * 1000

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"attachments": [{"mediaId": "x", "roomId": UNKNOWN, "userId": UNKNOWN}]},
            {"attachments": [{"mediaId": {"$ne": None}, "roomId": UNKNOWN, "userId": UNKNOWN}]},
            {"attachments": [{"mediaId": UNKNOWN, "roomId": UNKNOWN, "userId": UNKNOWN}] * 1001},
            {"attachments": [], "more": 1},
        ],
    )
    async def test_malformed(self, media: "Media", body: dict[str, Any]) -> None:
        response = await media.internal("POST", "/media/attach", json=body)
        assert problem_body(response).status == 400
