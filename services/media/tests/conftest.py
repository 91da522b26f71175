"""Processes of media of our own beside the stack's: one for each store, and others as a test needs them."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
from aiohttp import web
from bson import ObjectId
from chat_local.ports import PortBook
from chat_local.process import ManagedProcess
from chat_local.services import Addresses, spec
from chat_local.state import StateFolder
from chat_shared.bus import Bus
from chat_shared.contracts.events import EVENTS, Event
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient, User, eventually
from PIL import Image
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

if TYPE_CHECKING:
    from chat_local.stack import Stack

CLOUD, API_KEY, API_SECRET = "test-cloud", "123456789012345", "test-secret-of-the-cloud"
NOT_SIGNED = {"file", "cloud_name", "resource_type", "api_key", "signature"}
SIGNATURE_LIFE = 3600

Database = AsyncDatabase[dict[str, Any]]
MakePicture = Callable[..., bytes]


@dataclass
class Media:
    """One process of media, as its users and neighbours see it."""

    api: ApiClient
    process: ManagedProcess
    service_token: str

    async def image(self, owner: User, content: bytes, **fields: str) -> dict[str, Any]:
        """Return what an accepted upload of an image answers."""
        return await self._upload("image", owner, content, fields)

    async def file(self, owner: User, content: bytes = b"some bytes", **fields: str) -> dict[str, Any]:
        """Return what an accepted upload of a file answers; `name` and `content_type` are of the part."""
        return await self._upload("file", owner, content, fields)

    async def _upload(self, kind: str, owner: User, content: bytes, fields: dict[str, str]) -> dict[str, Any]:
        part = (fields.pop("name", "photo.png"), content, fields.pop("content_type", "image/png"))
        stored: dict[str, Any] = await self.api.data(
            "POST", f"/upload/{kind}", owner, status=201, files={kind: part}, data=fields
        )
        return stored

    async def avatar(self, user: User, content: bytes) -> str:
        """Return the id of an avatar that auth stored."""
        path = f"/avatars?userId={user.id}"
        response = await self.internal("POST", path, files={"image": ("avatar", content)})
        assert response.status_code == 200, response.text
        return str(response.json()["mediaId"])

    async def internal(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Call an internal route as another service does."""
        headers = {SERVICE_TOKEN_HEADER: self.service_token}
        return await self.api.http.request(method, f"/internal/v1{path}", headers=headers, **options)

    async def get(self, media_id: str, user: User | None = None, **headers: str) -> httpx2.Response:
        """Download; `headers` with underscores for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        everything = {**(user.headers if user else {}), **named}
        return await self.api.http.get(f"/media/{media_id}", headers=everything)


@dataclass
class FakeCloudinary:
    """Cloudinary's upload API as documented, for raw assets that need a signature.

    https://cloudinary.com/documentation/authentication_signatures: all parameters but the file, the cloud's
    name, the resource type and the API key, sorted, joined, followed by the secret, in SHA-1.
    """

    url: str = ""
    assets: dict[str, bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails: bool = False
    knows_ranges: bool = True
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: a call waits, and is carried out later."""

    def account(self) -> dict[str, str]:
        """Return the settings of an account here."""
        return {
            "CLOUDINARY_CLOUD_NAME": CLOUD,
            "CLOUDINARY_API_KEY": API_KEY,
            "CLOUDINARY_API_SECRET": API_SECRET,
            "CHAT_CLOUDINARY_URL_PREFIX": self.url,
            "CHAT_CLOUDINARY_SECONDS": "2",
        }

    def routes(self) -> list[web.RouteDef]:
        base = f"/v1_1/{CLOUD}/raw"
        return [
            web.post(f"{base}/upload", self._upload),
            web.post(f"{base}/destroy", self._destroy),
            web.get(f"{base}/download", self._download),
        ]

    async def _upload(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        refusal = await self._refusal("upload", form)
        if refusal:
            return refusal
        file = form["file"]
        assert isinstance(file, web.FileField)
        content = self.assets[str(form["public_id"])] = file.file.read()
        return web.json_response({"public_id": form["public_id"], "bytes": len(content)})

    async def _destroy(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        refusal = await self._refusal("destroy", form)
        if refusal:
            return refusal
        known = self.assets.pop(str(form["public_id"]), None) is not None
        return web.json_response({"result": "ok" if known else "not found"})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        refusal = await self._refusal("download", query)
        if refusal:
            return refusal
        if int(query["expires_at"]) < time.time():
            return web.json_response({"error": {"message": "Expired"}}, status=401)
        content = self.assets.get(query["public_id"])
        if content is None:
            return web.json_response({"error": {"message": "Resource not found"}}, status=404)
        if self.knows_ranges and "range" in request.headers:
            part = request.http_range
            return web.Response(status=206, body=content[part])
        return web.Response(body=content)

    async def _refusal(self, action: str, params: dict[str, Any]) -> web.Response | None:
        self.calls.append(action)
        await self.goes_on.wait()
        if self.fails:
            return web.json_response({"error": {"message": "Internal error"}}, status=500)
        pairs = [f"{name}={value}" for name, value in params.items() if name not in NOT_SIGNED]
        expected = hashlib.sha1(("&".join(sorted(pairs)) + API_SECRET).encode()).hexdigest()  # noqa: S324
        signed = params.get("signature") == expected and params.get("api_key") == API_KEY
        fresh = abs(time.time() - int(params.get("timestamp", 0))) < SIGNATURE_LIFE
        if signed and fresh and params.get("type") == "authenticated":
            return None
        return web.json_response({"error": {"message": "Invalid Signature"}}, status=401)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cloudinary() -> AsyncIterator[FakeCloudinary]:
    """What stands in for the outside world; see `FakeCloudinary`."""
    fake = FakeCloudinary()
    fake.goes_on.set()
    app = web.Application(client_max_size=64 * 1024**2)
    app.add_routes(fake.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    fake.goes_on.set()
    await runner.cleanup()


StartMedia = Callable[..., AbstractAsyncContextManager[Media]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def start_media(stack: "Stack") -> StartMedia:
    """`async with start_media("media-x", CHAT_…="…") as media:` runs another process of media."""
    state = StateFolder(stack.options.state_dir)
    ports = PortBook(state.run / "media-ports.json")
    services = ("auth", "rooms", "messaging", "media")
    urls = {name: [process.url for process in stack.instances(name)] for name in services}
    addresses = Addresses(
        stack.url, stack.mongo_url, stack.redis_url, stack.amqp_url, Path(state.path, "secrets"), urls
    )

    @asynccontextmanager
    async def start(name: str, **settings: str) -> AsyncIterator[Media]:
        extra = {"CHAT_MEDIA_SWEEP_SECONDS": "0.2", **settings}
        described = spec(name, ports.port(name), addresses, os.environ, extra)
        process = ManagedProcess(described, state, print)
        await process.start()
        try:
            await process.wait_ready()
            async with ApiClient(process.url) as api:
                yield Media(api, process, stack.secrets["chat_service_token"])
        finally:
            await process.stop()

    return start


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def media(start_media: StartMedia) -> AsyncIterator[Media]:
    """Media with GridFS."""
    async with start_media("media-91") as media:
        yield media


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cloud_media(start_media: StartMedia, cloudinary: FakeCloudinary) -> AsyncIterator[Media]:
    """Media with Cloudinary."""
    async with start_media("media-92", **cloudinary.account()) as media:
        yield media


@pytest.fixture(params=["gridfs", "cloudinary"])
def stored_media(request: pytest.FixtureRequest) -> Media:
    """Media with each of the stores in turn."""
    media: Media = request.getfixturevalue("media" if request.param == "gridfs" else "cloud_media")
    return media


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def people(stack: "Stack") -> AsyncIterator[ApiClient]:
    """The whole system through Traefik, for accounts and rooms."""
    async with ApiClient(stack.url) as api:
        yield api


@pytest.fixture(scope="package")
def new_person(people: ApiClient) -> Callable[[], Awaitable[User]]:
    """Make an account and log in."""

    async def make() -> User:
        return await people.login(await people.register())

    return make


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def alice(new_person: Callable[[], Awaitable[User]]) -> User:
    """Somebody who owns files; the same in all tests."""
    return await new_person()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def bob(new_person: Callable[[], Awaitable[User]]) -> User:
    """Somebody else; the same in all tests."""
    return await new_person()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def database(stack: "Stack") -> AsyncIterator[Database]:
    """Db chat_media itself."""
    async with AsyncMongoClient(stack.mongo_url, tz_aware=True) as client:
        yield client["chat_media"]


@pytest.fixture
def traces(database: Database, cloudinary: FakeCloudinary) -> Callable[[str], Awaitable[set[str]]]:
    """Say what is left of a file in the database and in the stores."""

    async def look(media_id: str) -> set[str]:
        key = ObjectId(media_id)
        found = {
            "record": await database.files.find_one({"_id": key}),
            "content": await database["content.files"].find_one({"_id": key}),
            "chunks": await database["content.chunks"].find_one({"files_id": key}),
            "asset": cloudinary.assets.get(f"chat/{media_id}"),
        }
        return {name for name, value in found.items() if value is not None}

    return look


class Broker:
    """The bus as another service has it: says things, and remembers all that was said."""

    def __init__(self, bus: Bus) -> None:
        self.heard: list[Event] = []
        self._bus = bus

    async def say(self, event: Event) -> None:
        """Publish an event of another service."""
        await self._bus.publish([event])

    async def hears(self, model: type[Event], **fields: Any) -> Event:
        """Return the first event of this kind with these fields, when it has come."""
        wanted = fields.items()

        def find() -> Event | None:
            of_kind = [event for event in self.heard if isinstance(event, model)]
            return next((event for event in of_kind if wanted <= vars(event).items()), None)

        found = await eventually(find, 15, f"{model.key} with {fields}")
        assert found is not None
        return found


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def broker(stack: "Stack") -> AsyncIterator[Broker]:
    """What goes over the bus; see `Broker`."""
    bus = Bus(stack.amqp_url, source="test")
    broker = Broker(bus)
    listening = asyncio.Event()

    async def hear(event: Event) -> None:
        broker.heard.append(event)

    async def begin() -> None:
        listening.set()

    bus.listen(EVENTS, hear, begin)
    await bus.start()
    async with asyncio.timeout(20):
        await listening.wait()
    yield broker
    await bus.stop()


@pytest.fixture(scope="session")
def picture() -> MakePicture:
    """Make an image; the options are Pillow's for saving."""

    def make(kind: str = "PNG", size: tuple[int, int] = (32, 20), mode: str = "RGB", **options: Any) -> bytes:
        buffer = BytesIO()
        Image.new(mode, size, "orange").save(buffer, kind, **options)
        return buffer.getvalue()

    return make
