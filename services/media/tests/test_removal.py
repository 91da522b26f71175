"""What is deleted is gone, wherever it was kept, and nothing is left behind by failures."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId
from chat_shared.contracts.events import MediaDeleted, RoomDeleted, UserDeleted
from chat_shared.testing import ApiClient, User, eventually
from gridfs.asynchronous import AsyncGridFSBucket
from pymongo.asynchronous.database import AsyncDatabase

if TYPE_CHECKING:
    from conftest import Broker, FakeCloudinary, Media

MakePicture = Callable[..., bytes]
NewPerson = Callable[[], Awaitable[User]]
Traces = Callable[[str], Awaitable[set[str]]]
Database = AsyncDatabase[dict[str, Any]]

ROOM, OTHER_ROOM = "a" * 24, "b" * 24


async def gone(traces: Traces, media_id: str) -> None:
    """Return when nothing is left of a file."""

    async def nothing() -> bool:
        return await traces(media_id) == set()

    await eventually(nothing, 15, f"nothing is left of {media_id}")


async def attach(media: "Media", owner: User, media_id: str, *rooms: str) -> None:
    items = [{"mediaId": media_id, "roomId": room, "userId": owner.id} for room in rooms]
    response = await media.internal("POST", "/media/attach", json={"attachments": items})
    assert response.json() == {"accepted": [True] * len(rooms)}


class TestDelete:
    async def test_record_and_content_go(
        self, stored_media: "Media", alice: User, broker: "Broker", traces: Traces
    ) -> None:
        media_id = (await stored_media.file(alice))["mediaId"]
        assert await traces(media_id) in ({"record", "content", "chunks"}, {"record", "asset"})
        await stored_media.api.data("DELETE", f"/media/{media_id}", alice)
        assert (await stored_media.get(media_id, alice)).status_code == 404
        await broker.hears(MediaDeleted, media_id=media_id, owner_id=alice.id)
        await gone(traces, media_id)

    async def test_twice(self, media: "Media", alice: User) -> None:
        path = f"/media/{(await media.file(alice))['mediaId']}"
        await media.api.data("DELETE", path, alice)
        await media.api.refused("DELETE", path, alice, status=404, code="media_not_found")

    async def test_link_opens_it_no_more(self, media: "Media", alice: User) -> None:
        media_id = (await media.file(alice))["mediaId"]
        link = (await media.api.data("GET", f"/media/{media_id}/link", alice))["url"]
        await media.api.data("DELETE", f"/media/{media_id}", alice)
        path = link[link.index("/media/") :]
        assert (await media.api.http.get(path)).status_code == 404


class TestRoomDeleted:
    async def test_files_of_this_room_alone_go(
        self,
        stored_media: "Media",
        new_person: NewPerson,
        broker: "Broker",
        traces: Traces,
        database: Database,
    ) -> None:
        owner = await new_person()
        room, other_room = str(ObjectId()), str(ObjectId())
        only_here, here_and_there, nowhere = [(await stored_media.file(owner))["mediaId"] for _ in range(3)]
        await attach(stored_media, owner, only_here, room)
        await attach(stored_media, owner, here_and_there, room, other_room)

        for _ in range(2):  # an event may come twice
            await broker.say(RoomDeleted(room_id=room, rev=2))
        await gone(traces, only_here)
        await broker.hears(MediaDeleted, media_id=only_here)
        record = await database.files.find_one({"_id": ObjectId(here_and_there)})
        assert record
        assert record["roomIds"] == [ObjectId(other_room)]
        for media_id in (here_and_there, nowhere):
            assert (await stored_media.get(media_id, owner)).status_code == 200

        await broker.say(RoomDeleted(room_id=other_room, rev=2))
        await gone(traces, here_and_there)

    async def test_a_room_that_rooms_deleted(
        self, media: "Media", people: ApiClient, alice: User, traces: Traces, picture: MakePicture
    ) -> None:
        body = {"roomName": "A room", "roomType": "private"}
        room = await people.data("POST", "/room", alice, status=201, json=body)
        image = await media.image(alice, picture(), roomId=room["id"])
        await people.data("DELETE", f"/room/{room['id']}", alice)
        await gone(traces, image["mediaId"])


class TestUserDeleted:
    async def test_everything_goes(
        self,
        stored_media: "Media",
        new_person: NewPerson,
        alice: User,
        broker: "Broker",
        traces: Traces,
        database: Database,
        picture: MakePicture,
    ) -> None:
        owner = await new_person()
        theirs = [
            (await stored_media.file(owner))["mediaId"],
            (await stored_media.image(owner, picture()))["mediaId"],
            await stored_media.avatar(owner, picture()),
        ]
        of_alice = (await stored_media.file(alice))["mediaId"]
        await attach(stored_media, owner, theirs[1], ROOM)
        for _ in range(2):
            await broker.say(UserDeleted(user_id=owner.id))
        for media_id in theirs:
            await gone(traces, media_id)
            await broker.hears(MediaDeleted, media_id=media_id)
        assert await database.usage.find_one({"_id": ObjectId(owner.id)}) is None
        assert (await stored_media.get(of_alice, alice)).status_code == 200

    async def test_more_than_a_batch(
        self, media: "Media", broker: "Broker", database: Database, new_person: NewPerson
    ) -> None:
        owner = await new_person()
        first = await media.file(owner)
        record = await database.files.find_one({"_id": ObjectId(first["mediaId"])})
        assert record
        copies = [{**record, "_id": ObjectId(), "storeKey": str(ObjectId())} for _ in range(450)]
        await database.files.insert_many(copies)
        await broker.say(UserDeleted(user_id=owner.id))

        async def none_left() -> bool:
            return not await database.files.count_documents({"ownerId": ObjectId(owner.id)})

        await eventually(none_left, 30, "all records are removed")


class TestLeftovers:
    """What a crash leaves at each step of an upload is found and removed."""

    @pytest.fixture
    def pending(self, database: Database, alice: User) -> Callable[..., Awaitable[str]]:
        """Make a record as a crashed upload leaves it."""

        async def make(sweep_at: datetime, store: str = "gridfs") -> str:
            key = ObjectId()
            record = {
                "_id": key,
                "ownerId": ObjectId(alice.id),
                "kind": "file",
                "roomIds": [],
                "contentType": "application/octet-stream",
                "size": 4,
                "width": None,
                "height": None,
                "name": "a",
                "store": store,
                "storeKey": str(key),
                "createdAt": datetime.now(UTC),
                "state": "pending",
                "sweepAt": sweep_at,
            }
            await database.files.insert_one(record)
            return str(key)

        return make

    PAST, FUTURE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

    async def test_record_without_content(
        self, media: "Media", alice: User, pending: Callable[..., Awaitable[str]], traces: Traces
    ) -> None:
        media_id = await pending(self.PAST)
        await gone(traces, media_id)

    async def test_part_of_the_content(
        self, media: "Media", pending: Callable[..., Awaitable[str]], traces: Traces, database: Database
    ) -> None:
        media_id = await pending(self.FUTURE)
        chunk = {"files_id": ObjectId(media_id), "n": 0, "data": b"half"}
        await database["content.chunks"].insert_one(chunk)
        assert await traces(media_id) == {"record", "chunks"}
        await database.files.update_one({"_id": ObjectId(media_id)}, {"$set": {"sweepAt": self.PAST}})
        await gone(traces, media_id)

    async def test_content_that_was_never_finished(
        self,
        media: "Media",
        alice: User,
        pending: Callable[..., Awaitable[str]],
        traces: Traces,
        database: Database,
    ) -> None:
        media_id = await pending(self.FUTURE)
        bucket = AsyncGridFSBucket(database, "content")
        await bucket.upload_from_stream_with_id(ObjectId(media_id), media_id, b"half")
        assert (await media.get(media_id, alice)).status_code == 404
        await database.files.update_one({"_id": ObjectId(media_id)}, {"$set": {"sweepAt": self.PAST}})
        await gone(traces, media_id)

    async def test_asset_that_was_never_finished(
        self,
        cloud_media: "Media",
        cloudinary: "FakeCloudinary",
        pending: Callable[..., Awaitable[str]],
        traces: Traces,
    ) -> None:
        media_id = await pending(self.PAST, "cloudinary")
        cloudinary.assets[f"chat/{media_id}"] = b"half"
        await gone(traces, media_id)

    async def test_upload_under_way_is_left_alone(
        self, media: "Media", pending: Callable[..., Awaitable[str]], traces: Traces
    ) -> None:
        under_way, crashed = await pending(self.FUTURE), await pending(self.PAST)
        await gone(traces, crashed)
        assert await traces(under_way) == {"record"}


class TestOldAvatars:
    async def test_the_newest_stay(
        self, media: "Media", new_person: NewPerson, picture: MakePicture, traces: Traces, broker: "Broker"
    ) -> None:
        owner = await new_person()
        avatars = [await media.avatar(owner, picture("PNG", (10 + n, 10))) for n in range(7)]
        for media_id in avatars[:2]:
            await gone(traces, media_id)
            await broker.hears(MediaDeleted, media_id=media_id)
        for media_id in avatars[2:]:
            assert (await media.get(media_id)).status_code == 200
