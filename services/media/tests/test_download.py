"""How files are sent, from each of the stores."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from chat_shared.testing import ApiClient, User, problem_body
from PIL import Image

if TYPE_CHECKING:
    from conftest import FakeCloudinary, Media

MakePicture = Callable[..., bytes]

#: More than two pieces in each store, and not a whole number of them.
CONTENT = bytes(range(256)) * 10_000 + b"the end"
SIZE = len(CONTENT)


class TestHeaders:
    async def test_image(self, stored_media: "Media", alice: User, picture: MakePicture) -> None:
        image = await stored_media.image(alice, picture(), name="päge.html")
        response = await stored_media.get(image["mediaId"], alice)
        assert Image.open(BytesIO(response.content)).size == (32, 20)
        expected = {
            "content-type": "image/png",
            "content-length": str(image["bytes"]),
            "content-disposition": "inline; filename*=UTF-8''p%C3%A4ge.png",
            "content-security-policy": "default-src 'none'; sandbox",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-site",
            "cache-control": "private, max-age=300",
            "accept-ranges": "bytes",
            "vary": "Authorization, Cookie",
        }
        assert {name: response.headers[name] for name in expected} == expected

    @pytest.mark.parametrize(
        ("sent", "served"),
        [
            ("text/html", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("application/pdf", "application/pdf"),
            ("image/png", "image/png"),
        ],
    )
    async def test_file_is_never_shown(
        self, stored_media: "Media", alice: User, sent: str, served: str
    ) -> None:
        stored = await stored_media.file(alice, b"<script>", name="a.html", content_type=sent)
        response = await stored_media.get(stored["mediaId"], alice)
        assert response.headers["content-type"] == served
        assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''a.html"
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert response.headers["x-content-type-options"] == "nosniff"

    async def test_avatar_is_public(self, stored_media: "Media", alice: User, picture: MakePicture) -> None:
        response = await stored_media.get(await stored_media.avatar(alice, picture("JPEG", (900, 600))))
        assert Image.open(BytesIO(response.content)).size == (512, 341)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "vary" not in response.headers
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"

    async def test_refusal_is_not_cached(self, media: "Media") -> None:
        assert (await media.get("0" * 24)).headers["cache-control"] == "no-store"

    async def test_head(self, stored_media: "Media", alice: User) -> None:
        stored = await stored_media.file(alice)
        whole = await stored_media.get(stored["mediaId"], alice)
        head = await stored_media.api.http.head(f"/media/{stored['mediaId']}", headers=alice.headers)
        assert (head.status_code, head.content) == (200, b"")
        differing = {"date", "x-request-id"}
        assert {k: v for k, v in head.headers.items() if k not in differing} == {
            k: v for k, v in whole.headers.items() if k not in differing
        }


class TestRanges:
    @pytest_asyncio.fixture
    async def media_id(self, stored_media: "Media", alice: User) -> str:
        return str((await stored_media.file(alice, CONTENT))["mediaId"])

    @pytest.mark.parametrize("knows_ranges", [True, False])
    async def test_parts(
        self,
        stored_media: "Media",
        alice: User,
        media_id: str,
        cloudinary: "FakeCloudinary",
        knows_ranges: bool,
    ) -> None:
        cloudinary.knows_ranges = knows_ranges
        edge = 1024 * 1024
        for start, stop in [(0, 1), (1, 2000), (edge - 1, edge + 1), (edge, 2 * edge), (SIZE - 5, SIZE)]:
            response = await stored_media.get(media_id, alice, range=f"bytes={start}-{stop - 1}")
            assert response.status_code == 206
            assert response.content == CONTENT[start:stop]
            assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
            assert response.headers["content-length"] == str(stop - start)
        cloudinary.knows_ranges = True

    async def test_last_bytes(self, stored_media: "Media", alice: User, media_id: str) -> None:
        response = await stored_media.get(media_id, alice, range="bytes=-7")
        assert (response.status_code, response.content) == (206, b"the end")

    async def test_from_somewhere(self, stored_media: "Media", alice: User, media_id: str) -> None:
        response = await stored_media.get(media_id, alice, range=f"bytes={SIZE - 3}-")
        assert (response.status_code, response.content) == (206, b"end")

    async def test_behind_the_end(self, stored_media: "Media", alice: User, media_id: str) -> None:
        response = await stored_media.get(media_id, alice, range=f"bytes={SIZE}-")
        assert problem_body(response).code == "range_not_satisfiable"
        assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{SIZE}")

    async def test_many_ranges(self, stored_media: "Media", alice: User, media_id: str) -> None:
        many = "bytes=" + ",".join(f"{start}-{start}" for start in range(1000))
        response = await stored_media.get(media_id, alice, range=many)
        assert (response.status_code, response.content) == (200, CONTENT)

    async def test_of_another_version(self, stored_media: "Media", alice: User, media_id: str) -> None:
        wanted = {"range": "bytes=0-0"}
        etag = (await stored_media.get(media_id, alice)).headers["etag"]
        assert (await stored_media.get(media_id, alice, **wanted, if_range=etag)).status_code == 206
        assert (await stored_media.get(media_id, alice, **wanted, if_range='"x"')).status_code == 200

    async def test_head_of_a_part(self, stored_media: "Media", alice: User, media_id: str) -> None:
        headers = {**alice.headers, "range": "bytes=2-4"}
        head = await stored_media.api.http.head(f"/media/{media_id}", headers=headers)
        assert (head.status_code, head.content, head.headers["content-length"]) == (206, b"", "3")


class TestNotModified:
    async def test_known_version(self, stored_media: "Media", alice: User) -> None:
        media_id = (await stored_media.file(alice))["mediaId"]
        first = await stored_media.get(media_id, alice)
        again = await stored_media.get(media_id, alice, if_none_match=first.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert again.headers[name] == first.headers[name]

    async def test_other_version(self, stored_media: "Media", alice: User) -> None:
        media_id = (await stored_media.file(alice))["mediaId"]
        assert (await stored_media.get(media_id, alice, if_none_match='"x"')).status_code == 200

    async def test_is_no_way_around_the_access_check(
        self, stored_media: "Media", alice: User, bob: User
    ) -> None:
        media_id = (await stored_media.file(alice))["mediaId"]
        etag = (await stored_media.get(media_id, alice)).headers["etag"]
        assert (await stored_media.get(media_id, bob, if_none_match=etag)).status_code == 404


class TestThroughTraefik:
    async def test_url_of_an_upload(self, people: ApiClient, alice: User, picture: MakePicture) -> None:
        files = {"image": ("a.png", picture())}
        image = await people.data("POST", "/upload/image", alice, status=201, files=files)
        response = await people.http.get(image["url"], headers=alice.headers)
        assert response.status_code == 200
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
