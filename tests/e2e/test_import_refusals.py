"""What `chat import` leaves out, what it refuses to begin, and what it does not write."""

from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_shared.testing import ApiClient
from chat_shared.testing.express_database import populated
from chat_shared.testing.importing import Importer, NewImporter, imported_collections, log_in, whole_history

if TYPE_CHECKING:
    from chat_local.stack import Stack


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
        "is not an http": database.add_message(room, good, imageUrl="javascript:alert(1)"),
        "not an http:// or https:// address": database.add_message(room, good, imageUrl="https://a/b c"),
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
    found = await whole_history(api, owner, room)
    bad = {str(message["_id"]) for message in messages.values()}
    assert [message["_id"] for message in found] == [id_ for id_ in database.expected(room) if id_ not in bad]


async def test_bounds_of_rooms_hold(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Who has no place is named; with a higher bound a later run brings them in."""
    database = populated(old_hash, users=4, rooms=0, messages=0)
    first, second, third, fourth = database.users
    full, other, nobodys = (
        database.add_room(first, second, third),
        database.add_room(second, fourth),
        database.add_room(first, second),
    )
    for room in database.rooms:
        database.add_message(room, second)
    importer = await new_importer(database)
    ended = await importer.run(CHAT_MAX_ROOMS_PER_USER="1", CHAT_MAX_MEMBERS_PER_ROOM="2")
    assert ended.code == 1
    assert (ended.sums("rooms"), ended.sums("members")) == ((2, 0, 0, 1), (3, 0, 0, 4))
    assert "CHAT_MAX_MEMBERS_PER_ROOM" in ended.left_out(f"member {third['_id']} of room {full['_id']}")[0]
    assert "CHAT_MAX_ROOMS_PER_USER" in ended.left_out(f"member {second['_id']} of room {other['_id']}")[0]
    assert "none of its members" in ended.left_out(f"room {nobodys['_id']}")[0]
    assert f"room {other['_id']} belongs to {fourth['_id']} now" in ended.output

    again = await importer.run()
    assert again.code == 0, again.output
    assert (again.sums("rooms"), again.sums("members")) == ((1, 2, 0, 0), (4, 3, 0, 0))
    for room in database.rooms:
        reader = await log_in(api, second)
        assert len(await whole_history(api, reader, room)) == 1


async def test_a_dry_run_writes_nothing(new_importer: NewImporter, own_stack: "Stack", old_hash: str) -> None:
    database = populated(old_hash, users=3, rooms=2, messages=10)
    importer = await new_importer(database)
    before = await imported_collections(own_stack.mongo_url)
    ended = await importer.run("--dry-run")
    assert (ended.code, ended.sums("messages")) == (0, (10, 0, 0, 0))
    assert await imported_collections(own_stack.mongo_url) == before


class TestWrongUse:
    """Ends with 2, and nothing is begun."""

    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("mongodb://127.0.0.1:1", "has to name the database"),
            ("http://127.0.0.1/x", "no URL of MongoDB"),
            ("mongodb://ada:se/cret@127.0.0.1/old", "no URL of MongoDB"),
            ("mongodb://ada:se:cret@127.0.0.1/old", "no URL of MongoDB"),
            ("mongodb://ada:x@127.0.0.1/old?authMechanism=cret", "no URL of MongoDB"),
            ("mongodb://127.0.0.1/chat_auth", "of this project"),
        ],
    )
    async def test_url(self, own_stack: "Stack", url: str, reason: str) -> None:
        importer = Importer(own_stack.mongo_url, own_stack.logs_dir.parent, "any")
        importer.url = url
        ended = await importer.run()
        assert ended.code == 2
        assert reason in ended.output
        assert "cret" not in ended.output

    async def test_another_database(self, own_stack: "Stack") -> None:
        ended = await Importer(own_stack.mongo_url, own_stack.logs_dir.parent, "empty_one").run()
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
    importer = Importer(own_stack.mongo_url, own_stack.logs_dir.parent, "any")
    importer.url = "mongodb://127.0.0.1:1/old?serverSelectionTimeoutMS=300"
    ended = await importer.run()
    assert ended.code == 1
    assert "Run it again" in ended.output
