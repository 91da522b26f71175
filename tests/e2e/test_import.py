"""`chat import`: the Express original's database, brought into the installation of this test run."""

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from bson import ObjectId
from chat_shared.testing import ApiClient, Connect, User, check_history, eventually
from chat_shared.testing.express_database import ExpressDatabase, populated
from pwdlib.hashers.bcrypt import BcryptHasher
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

PASSWORD = "the old password 7"
RUN_SECONDS = 90


@dataclass
class Ended:
    """How a run of the command ended."""

    code: int
    output: str

    def left_out(self, id_: Any) -> list[str]:
        """Return the reasons why a thing was left out."""
        lines = [line for line in self.output.splitlines() if line.startswith("Left out: ")]
        return [line for line in lines if str(id_) in line.partition(": ")[2].partition(": ")[0]]

    def sums(self, kind: str) -> tuple[int, ...]:
        """Return how many were brought, here already, deleted here, left out."""
        row = next(line for line in self.output.splitlines() if line.startswith(f"{kind} "))
        return tuple(int(cell.replace(",", "")) for cell in row.split()[1:])


class Importer:
    """Runs the command on one database of the original."""

    def __init__(self, stack: "Stack", name: str) -> None:
        self.stack = stack
        self.url = stack.mongo_url.replace("/?", f"/{name}?")
        self.name = name

    async def start(self, *options: str, **settings: str) -> asyncio.subprocess.Process:
        """Start the command; `settings` are set in its environment."""
        foreign = ("CHAT_", "MONGO", "AMQP_", "RABBITMQ_", "CLOUDINARY_")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", "import", "--from", self.url),
            *("--state-dir", str(self.stack.logs_dir.parent), *options),
            env={**environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "400", **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *options: str, **settings: str) -> Ended:
        """Run the command to its end."""
        process = await self.start(*options, **settings)
        output, _ = await asyncio.wait_for(process.communicate(), RUN_SECONDS)
        return Ended(process.returncode or 0, output.decode())


NewImporter = Callable[[ExpressDatabase], Awaitable[Importer]]


@pytest.fixture(scope="session")
def old_hash() -> str:
    """The password as the original hashed it: bcrypt of cost 10."""
    return BcryptHasher(rounds=10).hash(PASSWORD)


@pytest_asyncio.fixture
async def new_importer(own_stack: "Stack") -> AsyncIterator[NewImporter]:
    """Stores a database of the original, and removes it after the test."""
    names: list[str] = []

    async def store(database: ExpressDatabase) -> Importer:
        names.append(f"express_{secrets.token_hex(4)}")
        await database.store(own_stack.mongo_url, names[-1])
        return Importer(own_stack, names[-1])

    yield store
    async with AsyncMongoClient[dict[str, Any]](own_stack.mongo_url) as client:
        for name in names:
            await client.drop_database(name)


async def log_in(api: ApiClient, user: dict[str, Any]) -> User:
    """Log in as somebody of the original, with the password that they had there."""
    return await api.login(User(str(user["_id"]), user["username"], user["email"], PASSWORD))


async def history(api: ApiClient, user: User, room: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all messages of a room over REST."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        page = await api.data("GET", f"/room/{room['_id']}/messages?after={after}&limit=100", user)
        if not page["messages"]:
            return found
        found += page["messages"]


async def databases_without_sessions(stack: "Stack") -> dict[str, Any]:
    """Return all that an import may write."""
    kept = {
        "chat_auth": ("users", "imported_users"),
        "chat_rooms": ("rooms", "memberships", "users", "imported_rooms"),
        "chat_messaging": ("room_log", "room_keys"),
    }
    async with AsyncMongoClient[dict[str, Any]](stack.mongo_url) as client:
        return {
            f"{name}.{collection}": await client[name][collection].find().sort("_id").to_list()
            for name, collections in kept.items()
            for collection in collections
        }


async def stored_hash(stack: "Stack", user: dict[str, Any]) -> str:
    async with AsyncMongoClient[dict[str, Any]](stack.mongo_url) as client:
        document = await client["chat_auth"]["users"].find_one({"_id": user["_id"]})
    assert document is not None
    return str(document["passwordHash"])


async def test_everything_arrives_and_goes_on(
    new_importer: NewImporter, api: ApiClient, connect: Connect, old_hash: str
) -> None:
    """Ids, order, roles and passwords are those of the original; nothing is unread; new messages follow."""
    database = populated(old_hash, users=50, rooms=20, messages=5_000)
    importer = await new_importer(database)
    ended = await importer.run()
    assert ended.code == 0, ended.output
    memberships = sum(len(room["members"]) for room in database.rooms)
    assert [ended.sums(kind) for kind in ("users", "rooms", "members", "messages")] == [
        (50, 0, 0, 0),
        (20, 0, 0, 0),
        (memberships, 0, 0, 0),
        (5_000, 0, 0, 0),
    ]

    await _passwords_work(importer.stack, api, database.users[0])
    people = {user["_id"]: user for user in database.users}
    for room in database.rooms:
        owner = await log_in(api, people[room["createdBy"]])
        await _room_is_the_same(api, owner, room, database)
    await _room_goes_on(api, connect, database, database.rooms[0])

    before = await databases_without_sessions(importer.stack)
    again = await importer.run()
    assert again.code == 0, again.output
    assert again.sums("messages") == (0, 5_000, 0, 0)
    assert again.sums("members") == (0, memberships, 0, 0)
    assert await databases_without_sessions(importer.stack) == before


async def _passwords_work(stack: "Stack", api: ApiClient, user: dict[str, Any]) -> None:
    assert (await stored_hash(stack, user)).startswith("$2b$10$")
    me = await api.data("GET", "/auth/me", await log_in(api, user))
    assert (await stored_hash(stack, user)).startswith("$argon2id$")
    await log_in(api, user)
    for name in ("username", "email", "firstname", "lastname", "avatarUrl"):
        assert me[name] == user[name]
    assert me["createdAt"] == user["createdAt"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert me["lastSeen"] is not None


async def _room_is_the_same(
    api: ApiClient, owner: User, room: dict[str, Any], database: ExpressDatabase
) -> None:
    shown = await api.data("GET", f"/room/{room['_id']}", owner)
    for name in ("roomName", "roomType", "description"):
        assert shown[name] == room[name]
    assert (shown["createdBy"], shown["role"], shown["unread"]) == (str(room["createdBy"]), "owner", 0)
    assert shown["members"] == [str(member) for member in room["members"]]
    assert shown["memberCount"] == len(room["members"])
    messages = await history(api, owner, room)
    assert [message["_id"] for message in messages] == database.expected(room)
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    assert shown["lastSeq"] == len(messages)
    assert shown["lastMessageAt"] == messages[-1]["createdAt"]
    old = {str(message["_id"]): message for message in database.messages}
    for message in messages:
        stored = old[message["_id"]]
        assert message["content"] == stored["content"]
        assert message["sender"] == str(stored["sender"])
        assert message["messageType"] == stored["messageType"]
        assert message["imageUrl"] == stored.get("imageUrl")


async def _room_goes_on(
    api: ApiClient, connect: Connect, database: ExpressDatabase, room: dict[str, Any]
) -> None:
    people = {user["_id"]: user for user in database.users}
    sender, reader = [await log_in(api, people[member]) for member in room["members"][:2]]
    head = len(database.expected(room))
    socket, other = await connect(sender, gateway=0), await connect(reader, gateway=1)
    joined = await other.done("join_room", {"roomId": str(room["_id"])})
    assert joined["head"] == head
    shown = check_history(await other.wait_for("message-history"))
    assert [message.message_id for message in shown.messages] == database.expected(room)[-50:]
    sent = await socket.done("send_message", {"roomId": str(room["_id"]), "content": "and on"})
    assert sent["seq"] == head + 1
    await other.wait_for("new-message", lambda message: message["messageId"] == sent["messageId"])

    async def unread_is_one() -> bool:
        return bool((await api.data("GET", f"/room/{room['_id']}", reader))["unread"] == 1)

    await eventually(unread_is_one)


async def test_broken_off_it_goes_on(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Killed somewhere within the messages, a second run brings the rest: each once, in the same places."""
    database = populated(old_hash, users=10, rooms=8, messages=4_000)
    importer = await new_importer(database)
    process = await importer.start()
    room_ids = [room["_id"] for room in database.rooms]
    async with AsyncMongoClient[dict[str, Any]](importer.stack.mongo_url) as client:
        log = client["chat_messaging"]["room_log"]

        async def in_the_middle() -> bool:
            return 0 < await log.count_documents({"roomId": {"$in": room_ids}}) < 4_000

        await eventually(in_the_middle, timeout=30)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        partial = await log.count_documents({"roomId": {"$in": room_ids}})
    assert partial < 4_000

    ended = await importer.run()
    assert ended.code == 0, ended.output
    brought, here, *_ = ended.sums("messages")
    assert (brought + here, here >= partial) == (4_000, True)
    people = {user["_id"]: user for user in database.users}
    for room in database.rooms:
        owner = await log_in(api, people[room["createdBy"]])
        await _room_is_the_same(api, owner, room, database)


async def test_while_people_write(
    new_importer: NewImporter, api: ApiClient, connect: Connect, old_hash: str
) -> None:
    """A second run brings what the original got meanwhile, behind what was written here, without a hole."""
    database = populated(old_hash, users=6, rooms=1, messages=300)
    room = database.rooms[0]
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    people = {user["_id"]: user for user in database.users}
    sender, reader = [await log_in(api, people[member]) for member in room["members"][:2]]
    room_id = str(room["_id"])
    writing, listening = await connect(sender, gateway=0), await connect(reader, gateway=1)
    for _ in range(3_000):
        database.add_message(room, people[room["members"][0]])
    newcomer = database.add_user(old_hash)
    room["members"].append(newcomer["_id"])
    await database.store(importer.stack.mongo_url, importer.name)

    run = asyncio.create_task(importer.run())
    sent = []
    while not run.done():
        answer = await writing.call("send_message", {"roomId": room_id, "content": f"live {len(sent)}"})
        if answer["ok"]:
            sent.append(answer["seq"])
        else:
            assert answer["error"]["retryable"], answer
        await asyncio.sleep(0.06)  # below the rate of one socket, so that it goes on all the time
    ended = await run
    assert ended.code == 0, ended.output
    assert ended.sums("messages") == (3_000, 300, 0, 0)
    assert ended.sums("members") == (1, len(room["members"]) - 1, 0, 0)

    messages = await history(api, reader, room)
    assert [message["seq"] for message in messages] == list(range(1, 3_300 + len(sent) + 1))
    by_seq = {message["seq"]: message for message in messages}
    assert [by_seq[seq]["content"] for seq in sent] == [f"live {number}" for number in range(len(sent))]
    assert sent[0] < 3_300, "nothing was written while the import ran"
    imported = [message["_id"] for message in messages if not message["content"].startswith("live ")]
    assert imported == database.expected(room)
    # Who listened got all of it, and who came new has read all of it.
    await eventually(
        lambda: {message["seq"] for message in listening.events("new-message")} >= set(range(301, 3_301)),
        timeout=20,
    )
    shown = await api.data("GET", f"/room/{room_id}", await log_in(api, newcomer))
    assert shown["role"] == "member"


@pytest.mark.parametrize("amqp_url", ["", "amqp://127.0.0.1:1/"], ids=["broker", "no broker"])
async def test_who_is_connected_hears_of_a_new_room(
    new_importer: NewImporter, api: ApiClient, connect: Connect, old_hash: str, amqp_url: str
) -> None:
    """The command tells it, or, where it cannot reach the broker, leaves that to the services."""
    database = populated(old_hash, users=2, rooms=1, messages=1)
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    room = database.add_room(*database.users)
    await database.store(importer.stack.mongo_url, importer.name)
    sender, listener = [await log_in(api, user) for user in database.users]
    socket = await connect(listener)

    direct = importer.stack.mongo_url.partition("?")[0] + "?directConnection=true"
    ended = await importer.run(CHAT_MONGO_URL=direct, **({"CHAT_AMQP_URL": amqp_url} if amqp_url else {}))
    assert ended.code == 0, ended.output
    path = f"/room/{room['_id']}/messages"

    async def heard() -> bool:
        sent = await api.data("POST", path, sender, status=201, json={"content": "new here"})
        return sent["_id"] in {message["_id"] for message in socket.events("new-message")}

    await eventually(heard, timeout=15)


async def test_what_cannot_come_is_named(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Each bad record is listed with its id and a reason; all the others come."""
    database = populated(old_hash, users=5, rooms=2, messages=20)
    good, room = database.users[0], database.rooms[0]
    nobody = {"_id": ObjectId()}
    users = {
        "email is missing": database.add_user(old_hash, email=None),
        "email is not valid": database.add_user(old_hash, email="no address"),
        "username is missing": database.add_user(old_hash, username=" "),
        "has its username": database.add_user(old_hash, username=good["username"].upper()),
        "has its email": database.add_user(old_hash, email=good["email"].upper()),
        "not a bcrypt hash": database.add_user("plain text"),
    }
    left_out = users["email is missing"]
    rooms = {
        "roomName does not fit": database.add_room(good, roomName="x"),
        "roomType does not fit": database.add_room(good, roomType="secret"),
        "no member whose account is here": database.add_room(left_out),
    }
    messages = {
        "content does not fit": database.add_message(room, good, content="x" * 4_001),
        "content must not be empty": database.add_message(room, good, content="  "),
        "sender is missing": database.add_message(room, {"_id": None}),
        "does not exist": database.add_message(room, nobody),
        "was left out": database.add_message(room, left_out),
        "there is no such room": database.add_message(nobody, good),
        "its room was left out": database.add_message(rooms["roomName does not fit"], good),
        "not an ObjectId": database.add_message(room, good, _id="seventeen"),
        "imageUrl": database.add_message(room, good, messageType="image"),
    }
    room["members"] += [nobody["_id"], left_out["_id"]]
    orphan = database.add_room(nobody, good)
    importer = await new_importer(database)

    dry = await importer.run("--dry-run")
    ended = await importer.run()
    assert (dry.code, ended.code) == (1, 1)
    for run in (dry, ended):
        for reason, record in {**users, **rooms, **messages}.items():
            named = run.left_out(record["_id"])
            assert any(reason in line for line in named), (reason, named, run.output)
        assert run.sums("users") == (5, 0, 0, 6)
        assert run.sums("rooms") == (3, 0, 0, 3)
        assert run.sums("messages") == (20, 0, 0, len(messages))
        assert run.left_out(f"member {nobody['_id']} of room {room['_id']}")
        assert f"room {orphan['_id']} belongs to {good['_id']} now" in run.output
    owner = await log_in(api, next(user for user in database.users if user["_id"] == room["createdBy"]))
    found = await history(api, owner, room)
    bad = {str(message["_id"]) for message in messages.values()}
    assert [message["_id"] for message in found] == [id_ for id_ in database.expected(room) if id_ not in bad]


async def test_a_dry_run_writes_nothing(new_importer: NewImporter, own_stack: "Stack", old_hash: str) -> None:
    database = populated(old_hash, users=3, rooms=2, messages=10)
    importer = await new_importer(database)
    before = await databases_without_sessions(own_stack)
    ended = await importer.run("--dry-run")
    assert (ended.code, ended.sums("messages")) == (0, (10, 0, 0, 0))
    assert await databases_without_sessions(own_stack) == before


async def test_what_was_deleted_here_stays_deleted(
    new_importer: NewImporter, api: ApiClient, old_hash: str
) -> None:
    """A later run brings back no account, no room and no membership that ended here."""
    database = populated(old_hash, users=4, rooms=3, messages=30)
    gone, staying = database.users[0], database.users[1]
    kept, deleted, left = database.rooms
    for room in database.rooms:
        room["createdBy"], room["members"] = staying["_id"], [user["_id"] for user in database.users]
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    owner, leaver = await log_in(api, staying), await log_in(api, database.users[2])
    await api.call("DELETE", f"/room/{deleted['_id']}", owner)
    await api.call("DELETE", f"/room/{left['_id']}/members", leaver)
    await api.call("DELETE", "/auth/me", await log_in(api, gone), json={"password": PASSWORD})

    async def account_left() -> bool:
        room = await api.data("GET", f"/room/{kept['_id']}", owner)
        return str(gone["_id"]) not in room["members"]

    await eventually(account_left)
    again = await importer.run()
    assert (again.sums("users"), again.sums("rooms")) == ((0, 3, 1, 0), (0, 2, 1, 0))
    assert again.code == 0, again.output
    await api.refused("GET", f"/room/{deleted['_id']}", owner, status=404, code="room_not_found")
    shown = await api.data("GET", f"/room/{left['_id']}", owner)
    assert set(shown["members"]) == {str(staying["_id"]), str(database.users[3]["_id"])}


class TestWrongUse:
    """Ends with 2, and nothing is begun."""

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("mongodb://127.0.0.1:1", "has to name the database"),
            ("http://127.0.0.1/x", "no URL of MongoDB"),
            ("mongodb://127.0.0.1/chat_auth", "of this project"),
        ],
    )
    async def test_url(self, own_stack: "Stack", url: str, reason: str) -> None:
        importer = Importer(own_stack, "any")
        importer.url = url
        ended = await importer.run()
        assert ended.code == 2
        assert reason in ended.output

    async def test_another_database(self, own_stack: "Stack") -> None:
        ended = await Importer(own_stack, "empty_one").run()
        assert ended.code == 2
        assert "has no collection users" in ended.output

    async def test_other_master_keys(self, new_importer: NewImporter, old_hash: str) -> None:
        importer = await new_importer(populated(old_hash, users=2, rooms=1, messages=0))
        ended = await importer.run(CHAT_MASTER_KEYS=f"k1:{'A' * 43}=")
        assert ended.code == 2, ended.output
        assert "CHAT_MASTER_KEYS" in ended.output

    async def test_no_installation(self, new_importer: NewImporter, old_hash: str) -> None:
        importer = await new_importer(populated(old_hash, users=2, rooms=1, messages=0))
        ended = await importer.run("--state-dir", "/nowhere")
        assert ended.code == 2, ended.output
        assert "no installation" in ended.output


async def test_a_database_that_is_away(own_stack: "Stack") -> None:
    """It says so, and ends with 1."""
    importer = Importer(own_stack, "any")
    importer.url = "mongodb://127.0.0.1:1/old?serverSelectionTimeoutMS=300"
    ended = await importer.run()
    assert ended.code == 1
    assert "Run it again" in ended.output
