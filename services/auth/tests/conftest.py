"""Processes of auth of our own, beside the stack's: with the limits of production, and a media to watch."""

import asyncio
import json
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web
from chat_shared.bus import Bus
from chat_shared.contracts.events import EVENTS, Event
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.mongo import Document, Mongo
from chat_shared.testing import ApiClient, User, eventually
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

if TYPE_CHECKING:
    from chat_local.stack import Stack

RunAuth = Callable[..., AbstractAsyncContextManager["AuthProcess"]]
StartAuth = Callable[..., Awaitable["AuthProcess"]]
NewAddress = Callable[[], str]

START_SECONDS = 30
PRODUCTION_RATES = {
    "CHAT_LOGIN_ACCOUNT_RATE": "5/15 minutes",
    "CHAT_LOGIN_ADDRESS_RATE": "20/15 minutes",
    "CHAT_REGISTER_ADDRESS_RATE": "20/hour",
}


@dataclass
class AuthProcess:
    """One process of auth."""

    url: str
    log: Path
    process: asyncio.subprocess.Process

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


@dataclass
class AvatarMedia:
    """A neighbour that takes avatars as media does, and remembers them."""

    url: str = ""
    images: dict[str, bytes] = field(default_factory=dict)

    async def store(self, request: web.Request) -> web.Response:
        assert request.headers[SERVICE_TOKEN_HEADER]
        form = await request.post()
        image = form["image"]
        assert isinstance(image, web.FileField)
        content = image.file.read()
        if content == b"no image":
            problem = {"code": "unsupported_image", "message": "This is no image", "status": 415}
            return web.json_response(problem, status=415)
        user_id = request.query["userId"]
        self.images[user_id] = content
        return web.json_response({"mediaId": user_id, "url": f"/media/{user_id}"})


@dataclass
class EventLog:
    """Every event that auth published since the test run began."""

    events: list[Event] = field(default_factory=list)

    async def record(self, event: Event) -> None:
        self.events.append(event)

    async def wait_for(self, key: str, after: int = 0, **fields: Any) -> Event:
        """Return the first event with these fields as soon as it has come, without the first `after`."""

        def find() -> Event | None:
            named = [event for event in self.events[after:] if event.key == key]
            return next((event for event in named if _has(event, fields)), None)

        found = await eventually(find, what=f"{key} {fields}")
        assert found is not None
        return found


def _has(event: Event, fields: dict[str, Any]) -> bool:
    return all(getattr(event, name) == value for name, value in fields.items())


@pytest.fixture(scope="session")
def new_address() -> NewAddress:
    """Makes client addresses; each has allowances of its own."""
    numbers = random.sample(range(2**24), 5000)
    return lambda: "10.{}.{}.{}".format(*numbers.pop().to_bytes(3, "big"))


@pytest_asyncio.fixture(scope="session")
async def avatar_media() -> AsyncIterator[AvatarMedia]:
    media = AvatarMedia()
    app = web.Application()
    app.router.add_post("/internal/v1/avatars", media.store)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    media.url = f"http://{host}:{port}"
    yield media
    await runner.cleanup()


@pytest.fixture(scope="session")
def auth_settings(stack: "Stack", avatar_media: AvatarMedia) -> dict[str, str]:
    """The environment of an auth process."""
    return {
        "PATH": os.environ["PATH"],
        "CHAT_ENVIRONMENT": "development",
        "CHAT_SERVICE_TOKEN": stack.secrets["chat_service_token"],
        "CHAT_MASTER_KEYS": stack.secrets["chat_master_keys"],
        "CHAT_MONGO_URL": stack.mongo_url,
        "CHAT_REDIS_URL": stack.redis_url,
        "CHAT_AMQP_URL": stack.amqp_url,
        "CHAT_MEDIA_URLS": avatar_media.url,
        **PRODUCTION_RATES,
    }


@pytest.fixture(scope="session")
def run_auth(auth_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> RunAuth:
    """Runs a process of auth with settings of its own while the context lasts."""
    folder = tmp_path_factory.mktemp("auth")

    @asynccontextmanager
    async def run(**settings: str) -> AsyncIterator[AuthProcess]:
        port = _free_port()
        log = folder / f"{port}.log"
        own = {"CHAT_PORT": str(port), "CHAT_INSTANCE": f"auth-test-{port}"}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chat_auth",
                env={**auth_settings, **own, **settings},
                stdout=output,
                stderr=output,
            )
        auth = AuthProcess(f"http://127.0.0.1:{port}", log, process)

        async def is_ready() -> bool:
            return await _is_ready(auth)

        try:
            await eventually(is_ready, START_SECONDS, f"auth, see {log}")
            yield auth
        finally:
            await auth.stop()

    return run


@pytest_asyncio.fixture
async def start_auth(run_auth: RunAuth) -> AsyncIterator[StartAuth]:
    """Starts processes of auth that end with the test."""
    async with AsyncExitStack() as running:

        async def start(**settings: str) -> AuthProcess:
            return await running.enter_async_context(run_auth(**settings))

        yield start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _is_ready(auth: AuthProcess) -> bool:
    assert auth.process.returncode is None, auth.log.read_text()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(auth.url.rpartition(":")[2]))
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: auth\r\nconnection: close\r\n\r\n")
    status = await reader.readline()
    writer.close()
    return b" 200 " in status


@pytest_asyncio.fixture(scope="session")
async def auth_processes(run_auth: RunAuth) -> AsyncIterator[list[AuthProcess]]:
    """Two processes of auth over one database."""
    async with run_auth() as one, run_auth() as other:
        yield [one, other]


@pytest_asyncio.fixture
async def auth(auth_processes: list[AuthProcess], new_address: NewAddress) -> AsyncIterator[ApiClient]:
    """The first process, called from an address that nobody else has."""
    async with client_of(auth_processes[0], new_address()) as client:
        yield client


@pytest_asyncio.fixture
async def other_auth(auth_processes: list[AuthProcess], new_address: NewAddress) -> AsyncIterator[ApiClient]:
    """The second process."""
    async with client_of(auth_processes[1], new_address()) as client:
        yield client


def client_of(process: AuthProcess, address: str) -> ApiClient:
    """Return a client of one process that comes from `address`, as a trusted proxy would say."""
    client = ApiClient(process.url)
    client.http.headers["x-forwarded-for"] = address
    return client


@pytest.fixture(scope="session")
def make_client() -> Callable[[AuthProcess, str], ApiClient]:
    return client_of


@pytest_asyncio.fixture
async def ada(auth: ApiClient) -> User:
    """A user who is logged in."""
    return await auth.login(await auth.register())


@pytest.fixture
def service_headers(stack: "Stack") -> dict[str, str]:
    return {SERVICE_TOKEN_HEADER: stack.secrets["chat_service_token"]}


@pytest_asyncio.fixture(scope="session")
async def auth_database(stack: "Stack") -> AsyncIterator[AsyncDatabase[Document]]:
    """What auth has stored."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(stack.mongo_url, tz_aware=True)
    yield client.chat_auth
    await client.close()


@pytest_asyncio.fixture(scope="session")
async def auth_redis(stack: "Stack") -> AsyncIterator[Redis]:
    redis = Redis.from_url(stack.redis_url)
    yield redis
    await redis.aclose()


@pytest_asyncio.fixture
async def scratch_mongo(stack: "Stack") -> AsyncIterator[Mongo]:
    """An empty database for one test."""
    name = f"auth_test_{random.randrange(10**9)}"
    mongo = Mongo(stack.mongo_url, name)
    yield mongo
    await mongo.database.client.drop_database(name)
    await mongo.stop()


@pytest_asyncio.fixture(scope="session")
async def auth_events(stack: "Stack") -> AsyncIterator[EventLog]:
    """What auth tells the others, from RabbitMQ."""
    log, connected = EventLog(), asyncio.Event()

    async def note_connected() -> None:
        connected.set()

    bus = Bus(stack.amqp_url, source="auth-test")
    bus.listen([key for key in EVENTS if key.startswith(("user.", "session."))], log.record, note_connected)
    await bus.start()
    await asyncio.wait_for(connected.wait(), 15)
    yield log
    await bus.stop()


@pytest.fixture(scope="session")
def audit_of() -> Callable[[AuthProcess], list[dict[str, Any]]]:
    """Reads the security events in the log of a process."""

    def read(process: AuthProcess) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in process.log.read_text().splitlines()]
        return [line for line in lines if line["message"] == "audit"]

    return read
