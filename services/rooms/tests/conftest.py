"""Two processes of rooms over real servers of their own; auth and messaging as stand-ins at their URLs."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from bson import ObjectId
from chat_local.ports import PortBook
from chat_local.process import ManagedProcess
from chat_local.services import Addresses, spec
from chat_local.stack import Stack, StackOptions
from chat_local.state import StateFolder
from chat_rooms.domain import LISTED_MEMBERS
from chat_shared.bus import Bus
from chat_shared.contracts.events import EVENTS, Event
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient, User, eventually
from chat_shared.testing.neighbours import Neighbours
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

StartRooms = Callable[..., Any]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def backing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """MongoDB, Redis and RabbitMQ, without any service."""
    options = StackOptions(state_dir=tmp_path_factory.mktemp("rooms-stack"), services=False)
    async with Stack(options) as stack:
        yield stack


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def neighbours() -> AsyncIterator[Neighbours]:
    """Auth and messaging; see `chat_shared.testing.neighbours`."""
    async with Neighbours() as neighbours:
        yield neighbours


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def start_rooms(backing: Stack, neighbours: Neighbours) -> StartRooms:
    """`async with start_rooms("rooms-3", CHAT_…="…") as api:` runs another process of rooms."""
    state = StateFolder(backing.options.state_dir)
    ports = PortBook(state.run / "rooms-ports.json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}

    @asynccontextmanager
    async def start(name: str, **settings: str) -> AsyncIterator[ApiClient]:
        port = ports.port(name)
        urls = {"rooms": [f"http://127.0.0.1:{port}"], "media": ["http://127.0.0.1:9"]}
        urls |= {neighbour: [neighbours.url(neighbour)] for neighbour in ("auth", "messaging")}
        addresses = Addresses(
            "http://localhost:8080",
            backing.mongo_url,
            backing.redis_url,
            backing.amqp_url,
            Path(backing.options.state_dir, "secrets"),
            urls,
        )
        process = ManagedProcess(spec(name, port, addresses, environ, settings), state, print)
        await process.start()
        try:
            await process.wait_ready()
            async with ApiClient(process.url) as api:
                yield api
        finally:
            await process.stop()

    return start


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def both(start_rooms: StartRooms) -> AsyncIterator[tuple[ApiClient, ApiClient]]:
    """Two processes on the same database."""
    async with AsyncExitStack() as stack:
        first, second = await asyncio.gather(
            stack.enter_async_context(start_rooms("rooms-1")),
            stack.enter_async_context(start_rooms("rooms-2")),
        )
        yield first, second


@pytest.fixture
def api(both: tuple[ApiClient, ApiClient]) -> ApiClient:
    """One of the two processes."""
    return both[0]


@pytest.fixture
def new_user(neighbours: Neighbours) -> Callable[[], User]:
    """Make an account and log in."""
    return neighbours.new_user


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def database(backing: Stack) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """Db chat_rooms itself."""
    async with AsyncMongoClient(backing.mongo_url, tz_aware=True) as client:
        yield client["chat_rooms"]


@pytest.fixture
def ask(api: ApiClient, backing: Stack) -> Callable[..., Awaitable[httpx2.Response]]:
    """Call an internal route as another service does."""
    headers = {SERVICE_TOKEN_HEADER: backing.secrets["chat_service_token"]}

    async def call(method: str, path: str, **options: Any) -> httpx2.Response:
        return await api.http.request(method, f"/internal/v1{path}", headers=headers, **options)

    return call


class Broker:
    """The bus as another service has it: says things, and remembers all that was said."""

    def __init__(self, bus: Bus) -> None:
        self.heard: list[Event] = []
        self._bus = bus

    async def say(self, *events: Event) -> None:
        """Publish events of another service."""
        await eventually(lambda: self._bus.is_connected, 30)
        await self._bus.publish(events)

    def about(self, room_id: str) -> list[Event]:
        """Return the events about a room, without repetitions, by `rev` and then in order of arrival."""
        heard = {event.event_id: event for event in self.heard if getattr(event, "room_id", "") == room_id}
        return sorted(heard.values(), key=lambda event: getattr(event, "rev", 0))

    async def keys_about(self, room_id: str, count: int) -> list[str]:
        """Return the keys of the first `count` events about a room, when they have come."""
        await eventually(lambda: len(self.about(room_id)) >= count, 20, f"{count} events about a room")
        return [event.key for event in self.about(room_id)]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def broker(backing: Stack) -> AsyncIterator[Broker]:
    """What goes over the bus; see `Broker`."""
    bus = Bus(backing.amqp_url, source="test")
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


class Rooms:
    """Rooms as the tests need them, made over HTTP."""

    def __init__(self, api: ApiClient, new_user: Callable[[], User]) -> None:
        self._api = api
        self._new_user = new_user

    async def create(self, owner: User, room_type: str = "public", name: str = "A room") -> str:
        """Return the id of a new room."""
        body = {"roomName": name, "roomType": room_type}
        room = await self._api.data("POST", "/room", owner, json=body, status=201)
        return str(room["id"])

    async def add(self, room_id: str, owner: User, role: str = "member", user: User | None = None) -> User:
        """Return a member whom the owner added with `role`."""
        user = user or self._new_user()
        body = {"userId": user.id, "role": role}
        await self._api.data("POST", f"/room/{room_id}/members", owner, json=body, status=201)
        return user

    async def members(self, room_id: str, member: User) -> dict[str, str]:
        """Return user id -> role, in the order in which they joined."""
        found = await self._api.data("GET", f"/room/{room_id}/members", member, params={"limit": 100})
        return {entry["userId"]: entry["role"] for entry in found}


@pytest.fixture
def rooms(api: ApiClient, new_user: Callable[[], User]) -> Rooms:
    """See `Rooms`."""
    return Rooms(api, new_user)


@pytest.fixture
def crowd(database: AsyncDatabase[dict[str, Any]]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Put many plain members into a room, past the service; their ids in the order in which they joined."""

    async def enter(room_id: str, count: int) -> list[str]:
        room, users = ObjectId(room_id), [ObjectId() for _ in range(count)]
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        await database.memberships.insert_many(
            {
                "roomId": room,
                "userId": user,
                "role": "member",
                "rev": 1,
                "joinedAt": begin + timedelta(milliseconds=number),
                "lastReadSeq": 0,
            }
            for number, user in enumerate(users)
        )
        await database.rooms.update_one(
            {"_id": room},
            {
                "$inc": {"memberCount": count},
                "$push": {"members": {"$each": users[: LISTED_MEMBERS - 1]}},
            },
        )
        return [str(user) for user in users]

    return enter
