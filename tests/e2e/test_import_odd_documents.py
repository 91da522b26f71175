"""`chat import`: odd documents in the original's database, and ways to name it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import DatetimeMS, ObjectId
from bson.raw_bson import RawBSONDocument
from chat_local.client.api import Api
from chat_local.client.session import log_in as cli_log_in
from chat_local.express.source import MAX_BATCH_BYTES, OldDatabase
from chat_shared.contracts.internal import AccountDetails
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.testing import ApiClient
from chat_shared.testing.express_database import populated
from chat_shared.testing.importing import OLD_PASSWORD, NewImporter, log_in, whole_history
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

BEYOND = DatetimeMS(884_541_340_800_000)
"""In the year 30000."""
MEGABYTE = "x" * 1_000_000


async def test_dates_and_text_that_cannot_be_read(
    new_importer: NewImporter, api: ApiClient, old_hash: str
) -> None:
    """One such document stops nothing: the date of its id counts, and a sign stands for what is no text."""
    database = populated(old_hash, users=2, rooms=0, messages=0)
    ada, bob = database.users
    ada |= {"createdAt": BEYOND, "lastSeen": BEYOND}
    rooms = [
        database.add_room(ada, bob, createdAt=BEYOND, updatedAt=BEYOND),
        database.add_room(ada, bob, createdAt=datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC)),
    ]
    message = database.add_message(rooms[0], bob, createdAt=BEYOND)
    importer = await new_importer(database)
    raw = bson.encode({**message, "_id": ObjectId(), "content": "so: QQ"}).replace(b"QQ", b"\xff\xfe")
    async with AsyncMongoClient[Any](importer.mongo_url) as client:
        await client[importer.name]["messages"].insert_one(RawBSONDocument(raw))
    ended = await importer.run()
    assert ended.code == 0, ended.output

    reader = await log_in(api, ada)
    assert (await api.data("GET", "/auth/me", reader))["createdAt"] == _made(ada)
    for room in rooms:
        shown = await api.data("GET", f"/room/{room['_id']}", reader)
        assert (shown["createdAt"], len(shown["members"])) == (_made(room), 2)
    found = await whole_history(api, reader, rooms[0])
    assert [each["content"] for each in found] == [message["content"], "so: \ufffd\ufffd"]
    assert found[0]["createdAt"] == _made(message)


def _made(document: dict[str, Any]) -> str:
    moment: datetime = document["_id"].generation_time
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_username_that_looks_like_an_address(
    new_importer: NewImporter, own_stack: "Stack", old_hash: str
) -> None:
    """Its account is found by it, and its user can say it where a command asks who is meant."""
    database = populated(old_hash, users=2, rooms=0, messages=0)
    name = f"{database.prefix}@home.example"
    database.add_room(*database.users)
    database.users[0]["username"] = name
    assert (await (await new_importer(database)).run()).code == 0
    token = {SERVICE_TOKEN_HEADER: own_stack.secrets["chat_service_token"]}
    async with Api(own_stack.process("auth-1").url, token) as auth:
        answer = await auth.call("GET", "/internal/v1/accounts/find", query={"name": name})
    found = answer.read_as(AccountDetails)
    assert (found.id, found.username) == (str(database.users[0]["_id"]), name)
    async with Api(own_stack.url) as api:
        assert (await cli_log_in(api, name, OLD_PASSWORD)).user["username"] == name


async def test_a_room_that_says_no_type(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """It is private, and the operator is told."""
    database = populated(old_hash, users=2, rooms=0, messages=0)
    room = database.add_room(*database.users, roomType=None)
    ended = await (await new_importer(database)).run()
    assert f"room {room['_id']} is private now" in ended.output
    owner = await log_in(api, database.users[0])
    assert (await api.data("GET", f"/room/{room['_id']}", owner))["roomType"] == "private"


async def test_batches_are_bounded_whatever_is_large(new_importer: NewImporter, old_hash: str) -> None:
    """Accounts with a picture in them, and messages in whose fields of any name something large stands."""
    database = populated(old_hash, users=5, rooms=1, messages=5)
    for document in (*database.users, *database.messages):
        document["picture"] = {"data": MEGABYTE}
    importer = await new_importer(database)
    async with OldDatabase(importer.url) as old:
        batches = [batch async for batch in old.users()]
        batches += [batch async for _, batch in old.messages()]
    assert sum(map(len, batches)) == 10
    assert max(map(len, batches)) <= MAX_BATCH_BYTES // len(MEGABYTE)


@pytest.mark.parametrize("way", ["environment", "standard input"])
async def test_the_url_need_not_be_an_argument(new_importer: NewImporter, old_hash: str, way: str) -> None:
    """Everybody on the machine sees arguments, and a URL may hold a password."""
    importer = await new_importer(populated(old_hash, users=2, rooms=1, messages=1))
    if way == "environment":
        ended = await importer.run("--dry-run", CHAT_IMPORT_FROM=importer.url)
    else:
        ended = await importer.run("--dry-run", "--from", "-", typed=f"{importer.url}\n")
    assert (ended.code, ended.sums("users")) == (0, (2, 0, 0, 0)), ended.output


async def test_settings_beside_the_tests_do_not_count(
    new_importer: NewImporter, old_hash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout may have a `.env` of an installation that no test may touch."""
    importer = await new_importer(populated(old_hash, users=2, rooms=1, messages=1))
    (tmp_path / ".env").write_text("CHAT_MONGO_URL=mongodb://127.0.0.1:1/\n")
    monkeypatch.chdir(tmp_path)
    ended = await importer.run("--dry-run")
    assert ended.code == 0, ended.output
