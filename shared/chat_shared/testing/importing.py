"""Runs `chat import` on a made-up database of the original, and looks at what came of it."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from chat_shared.testing.api_client import ApiClient, User
from chat_shared.testing.express_database import ExpressDatabase

OLD_PASSWORD = "the old password 7"
RUN_SECONDS = 150.0
_FOREIGN = ("CHAT_", "MONGO", "AMQP_", "RABBITMQ_", "CLOUDINARY_")


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

    def __init__(self, mongo_url: str, state_dir: Path, name: str) -> None:
        """`name`: of the database, on the server that the stack of `state_dir` uses, too."""
        self.mongo_url = mongo_url
        self.url = mongo_url.replace("/?", f"/{name}?")
        self.name = name
        self._state_dir = state_dir

    async def store(self, database: ExpressDatabase) -> None:
        """Write the database of the original, in place of what is there."""
        await database.store(self.mongo_url, self.name)

    async def start(self, *options: str, **settings: str) -> asyncio.subprocess.Process:
        """Start the command; `settings` are set in its environment.

        It is told of the original as an argument, unless options or settings do so.
        """
        named = "--from" in options or "CHAT_IMPORT_FROM" in settings
        source = () if named else ("--from", self.url)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_local", "import", *source),
            *("--state-dir", str(self._state_dir), *options),
            stdin=asyncio.subprocess.PIPE,
            # Not in the checkout: a `.env` there is somebody's own.
            cwd=self._state_dir,
            env={**environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "400", **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, *options: str, typed: str = "", **settings: str) -> Ended:
        """Run the command to its end; `typed` is its standard input."""
        process = await self.start(*options, **settings)
        output, _ = await asyncio.wait_for(process.communicate(typed.encode()), RUN_SECONDS)
        return Ended(process.returncode or 0, output.decode())


#: `await new_importer(database)`
NewImporter = Callable[[ExpressDatabase], Awaitable[Importer]]


async def log_in(api: ApiClient, user: dict[str, Any]) -> User:
    """Log in as somebody of the original, with the password that they had there."""
    return await api.login(User(str(user["_id"]), user["username"], user["email"], OLD_PASSWORD))


async def whole_history(api: ApiClient, user: User, room: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all messages of a room over REST."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        page = await api.data("GET", f"/room/{room['_id']}/messages?after={after}&limit=100", user)
        if not page["messages"]:
            return found
        found += page["messages"]


async def imported_collections(mongo_url: str) -> dict[str, Any]:
    """Return all that an import may write."""
    kept = {
        "chat_auth": ("users", "imported_users"),
        "chat_rooms": ("rooms", "memberships", "users", "imported_rooms"),
        "chat_messaging": ("room_log", "room_keys"),
    }
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
        return {
            f"{name}.{collection}": await client[name][collection].find().sort("_id").to_list()
            for name, collections in kept.items()
            for collection in collections
        }


async def check_room(api: ApiClient, owner: User, room: dict[str, Any], database: ExpressDatabase) -> None:
    """Check that a room and its history are what the original had, and nothing is unread."""
    shown = await api.data("GET", f"/room/{room['_id']}", owner)
    for name in ("roomName", "roomType", "description"):
        assert shown[name] == room[name]
    assert (shown["createdBy"], shown["role"], shown["unread"]) == (str(room["createdBy"]), "owner", 0)
    assert shown["members"] == [str(member) for member in room["members"]]
    assert shown["memberCount"] == len(room["members"])
    messages = await whole_history(api, owner, room)
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
