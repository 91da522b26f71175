"""Cloudinary away, slow, or not convinced by our signature: 503 soon, and nothing left behind."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
from bson import ObjectId
from chat_shared.testing import User, eventually, problem_body
from pymongo.asynchronous.database import AsyncDatabase

if TYPE_CHECKING:
    from conftest import FakeCloudinary, Media

NewPerson = Callable[[], Awaitable[User]]
Database = AsyncDatabase[dict[str, Any]]
StartMedia = Callable[..., AbstractAsyncContextManager["Media"]]

PAST = datetime(2026, 1, 1, tzinfo=UTC)
FILES = {"file": ("a.txt", b"content", "text/plain")}


@pytest_asyncio.fixture
async def owner(new_person: NewPerson) -> User:
    return await new_person()


@pytest_asyncio.fixture(autouse=True)
async def recovered(cloudinary: "FakeCloudinary") -> AsyncIterator[None]:
    """Cloudinary works before and after each test."""
    yield
    cloudinary.fails = False
    cloudinary.goes_on.set()


async def upload(media: "Media", owner: User) -> httpx2.Response:
    return await media.api.send("POST", "/upload/file", owner, files=FILES)


async def nothing_stays(database: Database, cloudinary: "FakeCloudinary", owner: User) -> None:
    """Let the time pass in which content could arrive late, and return when nothing of the owner is left."""
    (record,) = await database.files.find({"ownerId": ObjectId(owner.id)}).to_list()
    assert record["state"] == "deleted"
    assert record["sweepAt"] > datetime.now(UTC)
    await database.files.update_one({"_id": record["_id"]}, {"$set": {"sweepAt": PAST}})

    async def nothing() -> bool:
        left = await database.files.count_documents({"ownerId": ObjectId(owner.id)})
        return not left and f"chat/{record['_id']}" not in cloudinary.assets

    await eventually(nothing, 15, "no record and no asset are left")
    assert await database.usage.find_one({"_id": ObjectId(owner.id)}) is None


class TestUpload:
    async def test_fails(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User, database: Database
    ) -> None:
        cloudinary.fails = True
        problem = problem_body(await upload(cloud_media, owner))
        assert (problem.status, problem.retryable) == (503, True)
        cloudinary.fails = False
        await nothing_stays(database, cloudinary, owner)
        assert (await upload(cloud_media, owner)).status_code == 201

    async def test_hangs(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User, database: Database
    ) -> None:
        """Content that arrives after the client was told that it did not is removed, too."""
        cloudinary.goes_on.clear()
        started = time.perf_counter()
        problem = problem_body(await upload(cloud_media, owner))
        assert (problem.status, problem.retryable) == (503, True)
        assert time.perf_counter() - started < 10
        cloudinary.goes_on.set()
        await nothing_stays(database, cloudinary, owner)

    async def test_many_hang(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User, media: "Media"
    ) -> None:
        """Calls that hang take nothing from those that do not need Cloudinary."""
        stored = (await media.file(owner))["mediaId"]
        cloudinary.goes_on.clear()
        uploads = [asyncio.create_task(upload(cloud_media, owner)) for _ in range(20)]
        await eventually(lambda: cloudinary.calls.count("upload") >= 8, what="all threads are taken")
        started = time.perf_counter()
        assert (await cloud_media.get(stored, owner)).status_code == 200
        assert time.perf_counter() - started < 1
        assert {response.status_code for response in await asyncio.gather(*uploads)} == {503}

    async def test_more_at_once_than_may_be_in_memory(
        self, start_media: StartMedia, cloudinary: "FakeCloudinary", owner: User
    ) -> None:
        limits = {"CHAT_MEDIA_PARALLEL_UPLOADS": "1", "CHAT_CLOUDINARY_SECONDS": "20"}
        async with start_media("media-98", **{**cloudinary.account(), **limits}) as media:
            cloudinary.goes_on.clear()
            calls = cloudinary.calls.count("upload")
            first = asyncio.create_task(upload(media, owner))
            await eventually(lambda: cloudinary.calls.count("upload") > calls, what="it is being stored")
            problem = problem_body(await upload(media, owner))
            assert (problem.status, problem.code, problem.retryable) == (503, "busy", True)
            cloudinary.goes_on.set()
            assert (await first).status_code == 201
            assert (await upload(media, owner)).status_code == 201

    @pytest.mark.parametrize(
        "settings",
        [
            {"CLOUDINARY_API_SECRET": "not-the-secret"},
            {"CLOUDINARY_API_KEY": "1"},
            {"CHAT_CLOUDINARY_URL_PREFIX": "http://127.0.0.1:9"},
        ],
        ids=["secret", "key", "address"],
    )
    async def test_wrong_account(
        self, start_media: StartMedia, cloudinary: "FakeCloudinary", owner: User, settings: dict[str, str]
    ) -> None:
        before = dict(cloudinary.assets)
        async with start_media("media-98", **{**cloudinary.account(), **settings}) as media:
            assert problem_body(await upload(media, owner)).status == 503
        assert cloudinary.assets == before


class TestCrash:
    async def test_killed_while_content_is_stored(
        self,
        cloud_media: "Media",
        start_media: StartMedia,
        cloudinary: "FakeCloudinary",
        owner: User,
        database: Database,
    ) -> None:
        """Another process removes what the killed one began, as soon as it may be taken for abandoned."""
        async with start_media("media-97", **cloudinary.account()) as media:
            media.process.auto_restart = False
            cloudinary.goes_on.clear()
            calls = cloudinary.calls.count("upload")
            under_way = asyncio.create_task(upload(media, owner))
            await eventually(lambda: cloudinary.calls.count("upload") > calls, what="it is being stored")
            os.kill(media.process.pid, signal.SIGKILL)
            with pytest.raises(httpx2.TransportError):
                await under_way
        cloudinary.goes_on.set()
        (record,) = await database.files.find({"ownerId": ObjectId(owner.id)}).to_list()
        key = f"chat/{record['_id']}"
        await eventually(lambda: key in cloudinary.assets, what="the content has arrived")
        assert record["state"] == "pending"
        assert (await cloud_media.get(str(record["_id"]), owner)).status_code == 404
        await database.files.update_one({"_id": record["_id"]}, {"$set": {"sweepAt": PAST}})

        async def nothing() -> bool:
            left = await database.files.find_one({"_id": record["_id"]})
            return left is None and key not in cloudinary.assets

        await eventually(nothing, 15, "record and asset are gone")


class TestDownload:
    async def test_fails(self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User) -> None:
        media_id = (await cloud_media.file(owner))["mediaId"]
        cloudinary.fails = True
        assert problem_body(await cloud_media.get(media_id, owner)).status == 503
        cloudinary.fails = False
        assert (await cloud_media.get(media_id, owner)).status_code == 200

    async def test_hangs(self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User) -> None:
        media_id = (await cloud_media.file(owner))["mediaId"]
        cloudinary.goes_on.clear()
        started = time.perf_counter()
        assert problem_body(await cloud_media.get(media_id, owner)).status == 503
        assert time.perf_counter() - started < 10

    async def test_asset_is_gone(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User
    ) -> None:
        media_id = (await cloud_media.file(owner))["mediaId"]
        del cloudinary.assets[f"chat/{media_id}"]
        assert problem_body(await cloud_media.get(media_id, owner)).status == 503

    async def test_account_was_taken_out_of_the_settings(
        self, cloud_media: "Media", media: "Media", owner: User
    ) -> None:
        media_id = (await cloud_media.file(owner))["mediaId"]
        assert problem_body(await media.get(media_id, owner)).status == 503

    async def test_outsider_has_no_way_in(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User
    ) -> None:
        media_id = (await cloud_media.file(owner))["mediaId"]
        async with httpx2.AsyncClient(trust_env=False) as stranger:
            base = f"{cloudinary.url}/v1_1/test-cloud/raw/download"
            query = {"public_id": f"chat/{media_id}", "timestamp": int(time.time()), "type": "authenticated"}
            for guess in ({}, {"signature": "0" * 40, "api_key": "123456789012345"}):
                response = await stranger.get(base, params={**query, "expires_at": 2**31, **guess})
                assert response.status_code == 401


class TestDelete:
    async def test_is_made_up_for(
        self, cloud_media: "Media", cloudinary: "FakeCloudinary", owner: User, database: Database
    ) -> None:
        """A file is gone for its users at once, and for Cloudinary as soon as it is back."""
        media_id = (await cloud_media.file(owner))["mediaId"]
        key = ObjectId(media_id)
        cloudinary.fails, calls = True, cloudinary.calls.count("destroy")
        await cloud_media.api.data("DELETE", f"/media/{media_id}", owner)
        assert (await cloud_media.get(media_id, owner)).status_code == 404
        await eventually(lambda: cloudinary.calls.count("destroy") > calls, what="the removal was tried")
        assert await database.files.find_one({"_id": key})
        cloudinary.fails = False
        await database.files.update_one({"_id": key}, {"$set": {"sweepAt": PAST}})

        async def nothing() -> bool:
            record = await database.files.find_one({"_id": key})
            return record is None and f"chat/{media_id}" not in cloudinary.assets

        await eventually(nothing, 15, "record and asset are gone")
