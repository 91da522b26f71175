"""Uploads: what is accepted, what comes back, and who may see it."""

from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import pytest
from chat_shared.testing import ApiClient, NewRoom, User, problem_body, success_body
from PIL import Image

UNKNOWN = "0" * 24


def picture(kind: str = "PNG", size: tuple[int, int] = (32, 20)) -> bytes:
    """Return an image."""
    buffer = BytesIO()
    Image.new("RGB", size, "orange").save(buffer, kind)
    return buffer.getvalue()


def form(content: bytes, name: str = "photo.png", field: str = "image") -> dict[str, tuple[str, bytes, str]]:
    """Return a multipart body with one file."""
    return {field: (name, content, "application/octet-stream")}


class TestUploadImage:
    """POST /upload/image"""

    @pytest.mark.parametrize("path", ["/upload/image", "/upload/image/"])
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
    async def test_valid(self, api: ApiClient, alice: User, kind: str, path: str) -> None:
        image = await api.data("POST", path, alice, status=201, files=form(picture(kind)))
        assert {"url", "mediaId", "width", "height", "bytes"} <= set(image)
        assert (image["width"], image["height"]) == (32, 20)
        shown = await api.http.get(image["url"], headers=alice.headers)
        assert shown.status_code == 200
        assert shown.headers["content-type"].startswith("image/")
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert len(shown.content) == image["bytes"]
        assert Image.open(BytesIO(shown.content)).size == (32, 20)

    @pytest.mark.parametrize(
        "content",
        [b"", b"plain text", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"%PDF-1.7\n"],
    )
    async def test_not_an_image(self, api: ApiClient, alice: User, content: bytes) -> None:
        response = await api.send("POST", "/upload/image", alice, files=form(content))
        assert problem_body(response).status in (400, 415)

    async def test_broken_image(self, api: ApiClient, alice: User) -> None:
        response = await api.send("POST", "/upload/image", alice, files=form(picture()[:60]))
        assert problem_body(response).status in (400, 415)

    async def test_too_large(self, api: ApiClient, alice: User) -> None:
        response = await api.send("POST", "/upload/image", alice, files=form(picture() + bytes(13_000_000)))
        assert problem_body(response).status == 413

    async def test_other_fields(self, api: ApiClient, alice: User) -> None:
        await api.refused(
            "POST",
            "/upload/image",
            alice,
            status=400,
            code="validation_failed",
            files=form(picture(), field="picture"),
        )
        await api.refused(
            "POST",
            "/upload/image",
            alice,
            status=400,
            code="validation_failed",
            files=form(picture()),
            data={"ownerId": UNKNOWN},
        )

    async def test_no_form(self, api: ApiClient, alice: User) -> None:
        response = await api.send("POST", "/upload/image", alice, json={"image": "x"})
        assert problem_body(response).status in (400, 415)


class TestUploadFile:
    """POST /upload/file"""

    async def test_valid(self, api: ApiClient, alice: User) -> None:
        files = form(b"minutes of the meeting", "minutes.txt", "file")
        stored = await api.data("POST", "/upload/file", alice, status=201, files=files)
        shown = await api.http.get(stored["url"], headers=alice.headers)
        assert shown.status_code == 200
        assert shown.content == b"minutes of the meeting"
        assert shown.headers["content-disposition"].startswith("attachment")
        assert shown.headers["x-content-type-options"] == "nosniff"

    async def test_html_is_never_shown_as_html(self, api: ApiClient, alice: User) -> None:
        files = form(b"<script>alert(1)</script>", "page.html", "file")
        stored = await api.data("POST", "/upload/file", alice, status=201, files=files)
        shown = await api.http.get(stored["url"], headers=alice.headers)
        assert shown.headers["content-disposition"].startswith("attachment")


class TestSeeing:
    """GET /media/{id}"""

    async def test_strangers_do_not(self, api: ApiClient, alice: User, bob: User) -> None:
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        plain = urlsplit(image["url"])._replace(query="").geturl()
        for headers in ({}, bob.headers):
            response = await api.http.get(plain, headers=headers)
            assert problem_body(response).status in (401, 403, 404)

    async def test_members_of_the_room_do(
        self, api: ApiClient, new_room: NewRoom, alice: User, bob: User, carol: User
    ) -> None:
        room = await new_room(alice, bob, roomType="private")
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        plain = urlsplit(image["url"])._replace(query="").geturl()
        body = {"messageType": "image", "imageUrl": image["url"]}
        await api.call("POST", f"/room/{room['id']}/messages", alice, status=201, json=body)
        assert (await api.http.get(plain, headers=bob.headers)).status_code == 200
        assert problem_body(await api.http.get(plain, headers=carol.headers)).status in (403, 404)

    async def test_unknown(self, api: ApiClient, alice: User) -> None:
        response = await api.http.get(f"/media/{UNKNOWN}", headers=alice.headers)
        assert problem_body(response).status == 404


class TestLink:
    """GET /media/{id}/link"""

    async def test_opens_without_a_token(self, api: ApiClient, alice: User) -> None:
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        link = (await api.data("GET", f"/media/{image['mediaId']}/link", alice))["url"]
        assert (await api.http.get(link)).status_code == 200

    async def test_opens_one_file_until_it_expires(self, api: ApiClient, alice: User) -> None:
        first, second = [
            await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
            for _ in range(2)
        ]
        link = (await api.data("GET", f"/media/{first['mediaId']}/link", alice))["url"]
        expires = parse_qs(urlsplit(link).query)["expires"][0]
        for altered in (
            link.replace(first["mediaId"], second["mediaId"]),
            link.replace(expires, str(int(expires) + 1)),
            link[:-4] + "AAAA",
        ):
            assert problem_body(await api.http.get(altered)).status in (401, 403, 404)

    async def test_for_those_who_may_see_it(self, api: ApiClient, alice: User, bob: User) -> None:
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        path = f"/media/{image['mediaId']}/link"
        await api.refused("GET", path, bob, status=404, code="media_not_found")
        await api.refused("GET", f"/media/{UNKNOWN}/link", bob, status=404, code="media_not_found")


class TestDelete:
    """DELETE /media/{id}"""

    async def test_own(self, api: ApiClient, alice: User) -> None:
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        response = await api.send("DELETE", f"/media/{image['mediaId']}", alice)
        success_body(response)
        assert problem_body(await api.http.get(image["url"], headers=alice.headers)).status == 404

    async def test_somebody_elses(self, api: ApiClient, alice: User, bob: User) -> None:
        image = await api.data("POST", "/upload/image", alice, status=201, files=form(picture()))
        response = await api.send("DELETE", f"/media/{image['mediaId']}", bob)
        assert problem_body(response).status in (403, 404)
        assert (await api.http.get(image["url"], headers=alice.headers)).status_code == 200

    async def test_unknown(self, api: ApiClient, alice: User) -> None:
        response = await api.send("DELETE", f"/media/{UNKNOWN}", alice)
        assert problem_body(response).status == 404
