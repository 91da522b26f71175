"""What every end-to-end test stands on: one installation, its users, rooms and sockets.

Without `CHAT_E2E_URL` the installation is the stack that the test run starts. With it, the same tests run
against an installation that is up already; what needs the processes themselves is skipped there.
"""

import itertools
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, SocketClient, User
from chat_shared.testing.express_database import ExpressDatabase
from chat_shared.testing.importing import OLD_PASSWORD, Importer, NewImporter
from pwdlib.hashers.bcrypt import BcryptHasher
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

APPEND_BATCH = 500


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*ids): rows of docs/from-express.md that a test stands for")


@pytest.fixture(scope="session")
def running_url() -> str | None:
    """The installation that is up already, if the tests are to run against one."""
    return os.environ.get("CHAT_E2E_URL") or None


@pytest.fixture(scope="session")
def chat_url(running_url: str | None, request: pytest.FixtureRequest) -> str:
    """The one URL that clients know."""
    if running_url:
        return running_url.rstrip("/")
    stack: Stack = request.getfixturevalue("stack")
    return stack.url


@pytest.fixture(scope="session")
def own_stack(running_url: str | None, request: pytest.FixtureRequest) -> "Stack":
    """The stack of this test run, for tests that look at its processes."""
    if running_url:
        pytest.skip("needs the processes of the installation; CHAT_E2E_URL names one that is not ours")
    stack: Stack = request.getfixturevalue("stack")
    return stack


@pytest.fixture(scope="session")
def gateway_urls(running_url: str | None, request: pytest.FixtureRequest) -> list[str]:
    """The gateways, each by its own URL; the public URL alone when they cannot be reached one by one."""
    if running_url:
        return [running_url.rstrip("/")]
    stack: Stack = request.getfixturevalue("stack")
    return [gateway.url for gateway in stack.instances("gateway-ws")]


@pytest_asyncio.fixture(scope="session")
async def api(chat_url: str) -> AsyncIterator[ApiClient]:
    """REST through the public URL."""
    async with ApiClient(chat_url) as client:
        yield client


@pytest.fixture(scope="session")
def new_user(api: ApiClient) -> NewUser:
    """Makes and logs in a user; profile fields as arguments."""

    async def make(username: str = "", **fields: Any) -> User:
        return await api.login(await api.register(username, **fields))

    return make


@pytest.fixture(scope="session")
def new_room(api: ApiClient) -> NewRoom:
    """Makes a room of `owner` with `members` in it and returns it; its fields as arguments."""

    async def make(owner: User, *members: User, **fields: Any) -> dict[str, Any]:
        body = {"roomName": f"room {secrets.token_hex(4)}", "roomType": "public", **fields}
        room: dict[str, Any] = await api.data("POST", "/room", owner, status=201, json=body)
        for member in members:
            await api.call(
                "POST", f"/room/{room['id']}/members", owner, status=201, json={"userId": member.id}
            )
        return room

    return make


@pytest_asyncio.fixture(scope="module")
async def alice(new_user: NewUser) -> User:
    """A user whom the tests of one module share; make your own where a test changes the account."""
    return await new_user()


@pytest_asyncio.fixture(scope="module")
async def bob(new_user: NewUser) -> User:
    """A second user, as `alice`."""
    return await new_user()


@pytest_asyncio.fixture(scope="module")
async def carol(new_user: NewUser) -> User:
    """A third user, as `alice`: usually the one who is not in the room."""
    return await new_user()


@pytest_asyncio.fixture
async def connect(chat_url: str, gateway_urls: list[str]) -> AsyncIterator[Connect]:
    """Opens sockets, and closes them after the test.

    `gateway=0` or `1` goes straight to that gateway, so that a test knows that two clients meet different
    ones; `None` goes through the public URL.
    """
    sockets: list[SocketClient] = []

    async def open_socket(user: User, *, gateway: int | None = None, **options: Any) -> SocketClient:
        url = chat_url if gateway is None else gateway_urls[gateway % len(gateway_urls)]
        socket = SocketClient()
        sockets.append(socket)
        return await socket.connect(url, user.access_token, **options)

    yield open_socket
    for socket in sockets:
        await socket.disconnect()


@pytest.fixture
def client_message_id() -> Callable[[], str]:
    """Makes ids that no other message has."""
    run, numbers = secrets.token_hex(6), itertools.count(1)
    return lambda: f"{run}-{next(numbers)}"


@pytest.fixture
def append(own_stack: "Stack") -> Callable[[str, str, Sequence[str]], Awaitable[None]]:
    """Appends `(room_id, sender_id, contents)` to a room's log past every socket's limits."""
    url = f"{own_stack.process('messaging-1').url}/internal/v1/messages"
    headers = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}

    async def append_all(room_id: str, sender_id: str, contents: Sequence[str]) -> None:
        async with httpx2.AsyncClient(headers=headers, timeout=10) as http:
            for start in range(0, len(contents), APPEND_BATCH):
                items = [
                    {
                        "roomId": room_id,
                        "senderId": sender_id,
                        "content": content,
                        "messageType": "text",
                        "clientMessageId": secrets.token_hex(12),
                    }
                    for content in contents[start : start + APPEND_BATCH]
                ]
                answer = await http.post(url, json={"items": items})
                assert answer.status_code == 200
                assert all("seq" in result for result in answer.json()["results"])

    return append_all


@pytest.fixture(scope="session")
def old_hash() -> str:
    """`OLD_PASSWORD` as the Express original hashed it: bcrypt of cost 10."""
    return BcryptHasher(rounds=10).hash(OLD_PASSWORD)


@pytest_asyncio.fixture
async def new_importer(own_stack: "Stack") -> AsyncIterator[NewImporter]:
    """Stores a database of the Express original beside the stack's own, and removes it after the test."""
    names: list[str] = []

    async def store(database: ExpressDatabase) -> Importer:
        names.append(f"express_{secrets.token_hex(4)}")
        importer = Importer(own_stack.mongo_url, own_stack.logs_dir.parent, names[-1])
        await importer.store(database)
        return importer

    yield store
    async with AsyncMongoClient[dict[str, Any]](own_stack.mongo_url) as client:
        for name in names:
            await client.drop_database(name)
