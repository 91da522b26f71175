"""What is accepted as an upload, and what the attacks on it come to."""

import asyncio
import os
import resource
import signal
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
import pytest
from chat_shared.contracts.events import MediaUploaded
from chat_shared.testing import ApiClient, User, eventually, problem_body
from PIL import Image

if TYPE_CHECKING:
    from conftest import Broker, Media

MakePicture = Callable[..., bytes]
NewPerson = Callable[[], Awaitable[User]]
StartMedia = Callable[..., AbstractAsyncContextManager["Media"]]

MIB = 1024 * 1024
UNKNOWN = "0" * 24
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


def form(field: str, content: bytes, name: str = "photo.png", kind: str = "image/png") -> dict[str, Any]:
    return {field: (name, content, kind)}


def part(headers: str, content: bytes = b"") -> bytes:
    """Return one part of a multipart body whose boundary is x."""
    return b"--x\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n"


async def post(media: "Media", user: User, path: str, **options: Any) -> tuple[httpx2.Response, float]:
    """Return the answer to a raw upload, and the seconds that it took."""
    options["headers"] = {**user.headers, **options.get("headers", {})}
    started = time.perf_counter()
    response = await media.api.http.post(f"/api/v1/upload/{path}", **options)
    return response, time.perf_counter() - started


class TestUploadImage:
    async def test_answer_and_event(
        self, stored_media: "Media", alice: User, picture: MakePicture, broker: "Broker", people: ApiClient
    ) -> None:
        image = await stored_media.image(alice, picture("JPEG"))
        assert image["url"] == f"{people.base_url}/media/{image['mediaId']}"
        assert {name: image[name] for name in ("width", "height", "contentType", "name")} == {
            "width": 32,
            "height": 20,
            "contentType": "image/jpeg",
            "name": "photo.jpg",
        }
        event = await broker.hears(MediaUploaded, media_id=image["mediaId"])
        assert isinstance(event, MediaUploaded)
        assert (event.owner_id, event.kind, event.size) == (alice.id, "image", image["bytes"])

    async def test_needs_a_token(self, media: "Media", picture: MakePicture) -> None:
        response = await media.api.send("POST", "/upload/image", files=form("image", picture()))
        assert problem_body(response).status == 401

    async def test_needs_no_more_than_a_cookie_from_our_own_pages(
        self, media: "Media", alice: User, picture: MakePicture, people: ApiClient
    ) -> None:
        for origin, status in (("https://evil.example", 403), (people.base_url, 201)):
            headers = {"cookie": f"accessToken={alice.access_token}", "origin": origin}
            files = form("image", picture())
            response = await media.api.send("POST", "/upload/image", files=files, headers=headers)
            assert response.status_code == status

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', "image.png"),
            (b"<html><script>alert(1)</script></html>", "image.png"),
            (b"%PDF-1.7\n", "scan.jpg"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.jpg"),
            (b"8BPS\0\1" + bytes(80), "a.png"),
            (b"II*\0" + bytes(80), "a.jpg"),
        ],
        ids=["svg", "html", "pdf", "eps", "psd", "tiff"],
    )
    async def test_no_image(self, media: "Media", alice: User, content: bytes, name: str) -> None:
        await media.api.refused(
            "POST",
            "/upload/image",
            alice,
            status=415,
            code="unsupported_image",
            files=form("image", content, name),
        )

    async def test_broken_image(self, media: "Media", alice: User, picture: MakePicture) -> None:
        await media.api.refused(
            "POST",
            "/upload/image",
            alice,
            status=400,
            code="image_broken",
            files=form("image", picture()[:60]),
        )

    async def test_called_html(self, media: "Media", alice: User, picture: MakePicture) -> None:
        image = await media.image(alice, picture(), name="page.html", content_type="text/html")
        assert (image["contentType"], image["name"]) == ("image/png", "page.png")
        response = await media.get(image["mediaId"], alice)
        assert response.headers["content-type"] == "image/png"

    async def test_pixel_bomb(self, media: "Media", alice: User) -> None:
        header = struct.pack("!II5B", 50_000, 50_000, 8, 2, 0, 0, 0)
        bomb = (
            b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(10 * MIB)))
        )
        await media.image(alice, _dot())  # the workers run
        before = _memory_of(media.process.pid)
        response, seconds = await post(media, alice, "image", files=form("image", bomb))
        assert problem_body(response).code == "image_too_large"
        assert response.status_code == 400
        assert seconds < 2
        assert _memory_of(media.process.pid) - before < 100 * MIB

    async def test_frame_bomb(self, media: "Media", alice: User) -> None:
        frames = [Image.new("L", (8, 8), index % 256) for index in range(5000)]
        buffer = BytesIO()
        frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
        response, seconds = await post(media, alice, "image", files=form("image", buffer.getvalue()))
        assert problem_body(response).code == "image_too_large"
        assert seconds < 2

    async def test_empty(self, media: "Media", alice: User) -> None:
        response, _ = await post(media, alice, "image", files=form("image", b""))
        (error,) = problem_body(response).errors
        assert (error.field, error.message) == ("image", "The file is empty")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def _dot() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


def _children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _memory_of(pid: int) -> int:
    """Return the bytes that a process and its children hold in memory."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [pid, *_children_of(pid)])
    return pages * resource.getpagesize()


class TestImageWorkers:
    async def test_end_with_a_killed_service(self, start_media: StartMedia, alice: User) -> None:
        async with start_media("media-99") as media:
            media.process.auto_restart = False
            await media.image(alice, _dot())
            workers = _children_of(media.process.pid)
            assert workers
            os.kill(media.process.pid, signal.SIGKILL)
            await eventually(
                lambda: not any(_is_alive(worker) for worker in workers), what="the workers are gone"
            )


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class TestUploadFile:
    async def test_answer_and_event(self, stored_media: "Media", alice: User, broker: "Broker") -> None:
        stored = await stored_media.file(
            alice, b"minutes", name="minutes.txt", content_type="text/plain; charset=utf-8"
        )
        assert {name: stored[name] for name in ("bytes", "contentType", "name")} == {
            "bytes": 7,
            "contentType": "text/plain",
            "name": "minutes.txt",
        }
        event = await broker.hears(MediaUploaded, media_id=stored["mediaId"])
        assert isinstance(event, MediaUploaded)
        assert (event.kind, event.size) == ("file", 7)

    @pytest.mark.parametrize(
        "kind", ["text/html", "image/svg+xml", "application/javascript", "", "a" * 3000, "x/y\u20ac"]
    )
    async def test_type_that_a_browser_could_run(self, media: "Media", alice: User, kind: str) -> None:
        body = part(
            f'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: {kind}', b"x"
        )
        response, _ = await post(media, alice, "file", content=body + b"--x--\r\n", headers=MULTIPART)
        assert response.json()["data"]["contentType"] == "application/octet-stream"

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("../../../etc/passwd", "passwd"),
            ("..\\\\..\\\\boot.ini", "boot.ini"),
            ("invoice\u202efdp.exe", "invoicefdp.exe"),
            ("nul\0l.txt", "null.txt"),
            ("n" * 3500 + ".txt", "n" * 116 + ".txt"),
            ("", "file"),
        ],
        ids=["path", "windows path", "right to left", "nul", "long", "empty"],
    )
    async def test_names(self, media: "Media", alice: User, sent: str, shown: str) -> None:
        headers = f'Content-Disposition: form-data; name="file"; filename="{sent}"'
        response, _ = await post(
            media, alice, "file", content=part(headers, b"x") + b"--x--\r\n", headers=MULTIPART
        )
        assert response.json()["data"]["name"] == shown


class TestSize:
    @pytest.mark.parametrize("kind", ["image", "file"])
    async def test_just_too_large(self, media: "Media", alice: User, kind: str) -> None:
        response, _ = await post(media, alice, kind, files=form(kind, bytes(10 * MIB + 1)))
        assert problem_body(response).code == "content_too_large"
        assert response.status_code == 413

    @pytest.mark.parametrize("kind", ["image", "file"])
    async def test_declared_too_large(self, media: "Media", alice: User, kind: str) -> None:
        response, seconds = await post(media, alice, kind, files=form(kind, bytes(11 * MIB)))
        assert problem_body(response).status == 413
        assert seconds < 1

    async def test_largest_file(self, stored_media: "Media", alice: User) -> None:
        content = bytes(range(256)) * (10 * MIB // 256)
        stored = await stored_media.file(alice, content)
        assert (await stored_media.get(stored["mediaId"], alice)).content == content

    async def test_body_without_end(self, media: "Media", alice: User) -> None:
        """A client that goes on sending is answered while it does."""
        url = urlsplit(media.process.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        head = (
            "POST /api/v1/upload/file HTTP/1.1\r\nHost: media\r\nTransfer-Encoding: chunked\r\n"
            f"Authorization: Bearer {alice.access_token}\r\nContent-Type: {MULTIPART['content-type']}\r\n\r\n"
        )
        first = part('Content-Disposition: form-data; name="file"; filename="a"')[:-2]
        writer.write(head.encode() + b"%x\r\n%b\r\n" % (len(first), first))

        async def send_without_end() -> None:
            while True:
                writer.write(b"%x\r\n%b\r\n" % (MIB, bytes(MIB)))
                await writer.drain()

        started = time.perf_counter()
        sending = asyncio.create_task(send_without_end())
        try:
            assert b" 413 " in await reader.readline()
            assert time.perf_counter() - started < 1
        finally:
            sending.cancel()
            writer.close()


class TestForms:
    """S47: each is answered within a second, and none with a 500."""

    @pytest.mark.parametrize(
        "body",
        [
            part('Content-Disposition: form-data; name="file"', bytes(9 * MIB)) + b"--x--\r\n",
            part('Content-Disposition: form-data; name="a"', b"1") * 10_000 + b"--x--\r\n",
            part('Content-Disposition: form-data; name="file"; filename="a"', b"1") * 10_000 + b"--x--\r\n",
            part("Content-Type: text/plain", b"1") + b"--x--\r\n",
            part('Content-Disposition: form-data; name="file"; filename="a"\r\n' + "X: y\r\n" * 5000, b"1"),
            part('Content-Disposition: form-data; name="file"; filename="' + "a" * 9 * MIB + '"', b"1"),
            b"\r\n" * (4 * MIB),
            b"-" * (9 * MIB),
            b"file=1;" * 10_000,
            b"",
        ],
        ids=[
            "field without filename",
            "10,000 fields",
            "10,000 files",
            "no name",
            "5,000 headers",
            "long header",
            "line ends",
            "dashes",
            "semicolons",
            "nothing",
        ],
    )
    async def test_bomb(self, media: "Media", alice: User, body: bytes) -> None:
        response, seconds = await post(media, alice, "file", content=body, headers=MULTIPART)
        assert problem_body(response).status == 400
        assert seconds < 1

    @pytest.mark.parametrize(
        "content_type",
        [
            "application/x-www-form-urlencoded",
            "application/json",
            "text/plain",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "b" * 2000,
            "multipart/mixed; boundary=x",
            'multipart/form-data; boundary="x"; charset=idna',
            "multipart/form-data; boundary=x; charset=undefined",
            "multipart/form-data; boundary=x; charset=zlib_codec",
            "multipart/form-data; boundary=x; charset*=utf-7''utf-7",
            "multipart/form-data;" + ";" * 5000,
        ],
    )
    async def test_content_type(self, media: "Media", alice: User, content_type: str) -> None:
        body = part('Content-Disposition: form-data; name="f\u00fc"; filename="a"', b"a=1;b=2") + b"--x--\r\n"
        headers = {"content-type": content_type}
        response, seconds = await post(media, alice, "file", content=body, headers=headers)
        assert problem_body(response).status == 400
        assert seconds < 1

    @pytest.mark.parametrize(
        ("files", "data", "field"),
        [
            (form("other", b"x"), {}, "other"),
            (form("file", b"x"), {"ownerId": UNKNOWN}, "ownerId"),
            (form("roomId", b"x"), {}, "file"),
            ({}, {"file": "x"}, "file"),
            (form("file", b"x"), {"roomId": "x"}, "roomId"),
            (form("file", b"x"), {"roomId": '{"$ne": null}'}, "roomId"),
            (form("file", b"x"), {"o" * 900: "x"}, "o" * 50),
        ],
    )
    async def test_fields(
        self, media: "Media", alice: User, files: dict[str, Any], data: dict[str, str], field: str
    ) -> None:
        body = {name: (None, value) for name, value in data.items()}
        response, _ = await post(media, alice, "file", files={**files, **body})
        problem = problem_body(response)
        assert (problem.code, [error.field for error in problem.errors]) == ("validation_failed", [field])


class TestRoom:
    async def test_for_members_only(
        self, media: "Media", people: ApiClient, alice: User, bob: User, picture: MakePicture
    ) -> None:
        for room_type, status, code in (("public", 403, "not_a_member"), ("private", 404, "room_not_found")):
            body = {"roomName": "A room", "roomType": room_type}
            room = await people.data("POST", "/room", alice, status=201, json=body)
            await media.image(alice, picture(), roomId=room["id"])
            for kind in ("image", "file"):
                options = {"files": form(kind, picture()), "data": {"roomId": room["id"]}}
                await media.api.refused("POST", f"/upload/{kind}", bob, status=status, code=code, **options)

    async def test_unknown(self, media: "Media", alice: User) -> None:
        options = {"files": form("file", b"x"), "data": {"roomId": UNKNOWN}}
        await media.api.refused("POST", "/upload/file", alice, status=404, code="room_not_found", **options)


class TestQuota:
    async def test_counts_all_files(self, start_media: StartMedia, new_person: NewPerson) -> None:
        owner = await new_person()
        async with start_media("media-93", CHAT_MEDIA_USER_QUOTA_BYTES="5000") as media:
            first = await media.file(owner, bytes(3000))
            response, _ = await post(media, owner, "file", files=form("file", bytes(2001)))
            assert problem_body(response).code == "quota_exceeded"
            assert response.status_code == 413
            await media.file(owner, bytes(2000))
            await media.file(await new_person(), bytes(5000))
            await media.api.data("DELETE", f"/media/{first['mediaId']}", owner)
            await _eventually_accepted(media, owner, 3000)

    async def test_at_the_same_time(self, start_media: StartMedia, new_person: NewPerson) -> None:
        owner = await new_person()
        async with start_media("media-93", CHAT_MEDIA_USER_QUOTA_BYTES="5000") as media:
            statuses = await _upload_at_once(media, owner, count=8, size=1000)
            assert sorted(statuses) == [201] * 5 + [413] * 3


async def _eventually_accepted(media: "Media", user: User, size: int) -> None:
    async def accepted() -> bool:
        response, _ = await post(media, user, "file", files=form("file", bytes(size)))
        return response.status_code == 201

    await eventually(accepted, what="the room of a deleted file can be used again")


async def _upload_at_once(media: "Media", user: User, count: int, size: int) -> list[int]:
    uploads = (post(media, user, "file", files=form("file", bytes(size))) for _ in range(count))
    return [response.status_code for response, _ in await asyncio.gather(*uploads)]


class TestRate:
    async def test_is_limited_per_user(self, start_media: StartMedia, new_person: NewPerson) -> None:
        alice, bob = await new_person(), await new_person()
        async with start_media("media-94", CHAT_MEDIA_UPLOAD_RATE="2/hour") as media:
            await media.file(alice)
            await media.file(alice)
            response, _ = await post(media, alice, "file", files=form("file", b"x"))
            assert problem_body(response).code == "rate_limited"
            assert 3000 < int(response.headers["retry-after"]) <= 3600
            await media.file(bob)
