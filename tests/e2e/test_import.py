"""`chat import`: the Express original's database, brought into the installation of this test run."""

import asyncio
import signal
from typing import Any

import pytest
from chat_shared.testing import ApiClient, Connect, check_history, eventually
from chat_shared.testing.express_database import ExpressDatabase, populated
from chat_shared.testing.importing import (
    OLD_PASSWORD,
    NewImporter,
    check_room,
    imported_collections,
    log_in,
)
from pymongo import AsyncMongoClient


async def stored_hash(mongo_url: str, user: dict[str, Any]) -> str:
    async with AsyncMongoClient[dict[str, Any]](mongo_url) as client:
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

    await _passwords_work(importer.mongo_url, api, database.users[0])
    people = {user["_id"]: user for user in database.users}
    for room in database.rooms:
        owner = await log_in(api, people[room["createdBy"]])
        await check_room(api, owner, room, database)
    await _room_goes_on(api, connect, database, database.rooms[0])

    before = await imported_collections(importer.mongo_url)
    again = await importer.run()
    assert again.code == 0, again.output
    assert again.sums("messages") == (0, 5_000, 0, 0)
    assert again.sums("members") == (0, memberships, 0, 0)
    assert await imported_collections(importer.mongo_url) == before


async def _passwords_work(mongo_url: str, api: ApiClient, user: dict[str, Any]) -> None:
    assert (await stored_hash(mongo_url, user)).startswith("$2b$10$")
    me = await api.data("GET", "/auth/me", await log_in(api, user))
    assert (await stored_hash(mongo_url, user)).startswith("$argon2id$")
    await log_in(api, user)
    for name in ("username", "email", "firstname", "lastname", "avatarUrl"):
        assert me[name] == user[name]
    assert me["createdAt"] == user["createdAt"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert me["lastSeen"] is not None


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


@pytest.mark.timeout(240)  # what a killed process has left open is MongoDB's for a minute
async def test_broken_off_it_goes_on(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Killed somewhere within the messages, a second run brings the rest: each once, in the same places."""
    database = populated(old_hash, users=10, rooms=8, messages=4_000)
    importer = await new_importer(database)
    process = await importer.start()
    room_ids = [room["_id"] for room in database.rooms]
    async with AsyncMongoClient[dict[str, Any]](importer.mongo_url) as client:
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
        await check_room(api, owner, room, database)


async def test_a_large_room(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Its members come in several transactions, each once, in their order."""
    database = populated(old_hash, users=450, rooms=0, messages=0)
    room = database.add_room(*database.users)
    database.add_message(room, database.users[-1])
    assert (await (await new_importer(database)).run()).sums("members") == (450, 0, 0, 0)
    last = await log_in(api, database.users[-1])
    ids = [str(user["_id"]) for user in database.users]
    shown = await api.data("GET", f"/room/{room['_id']}", last)
    assert (shown["memberCount"], shown["members"], shown["role"]) == (450, ids[:100], "member")
    assert (shown["createdBy"], shown["unread"], shown["lastSeq"]) == (ids[0], 0, 1)
    found: list[str] = []
    page: dict[str, Any] = {"meta": {"next": ""}}
    while (after := page["meta"]["next"]) is not None:
        query = f"limit=100&after={after}" if after else "limit=100"
        page = await api.call("GET", f"/room/{room['_id']}/members?{query}", last)
        found += [member["userId"] for member in page["data"]]
    assert found == ids


async def test_two_at_once(new_importer: NewImporter, api: ApiClient, old_hash: str) -> None:
    """Started twice by mistake, it brings everything once and in order."""
    database = populated(old_hash, users=10, rooms=3, messages=3_000)
    importer = await new_importer(database)
    both = await asyncio.gather(importer.run(), importer.run())
    assert [ended.code for ended in both] == [0, 0], [ended.output for ended in both]
    people = {user["_id"]: user for user in database.users}
    for room in database.rooms:
        owner = await log_in(api, people[room["createdBy"]])
        await check_room(api, owner, room, database)


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
    await api.call("DELETE", "/auth/me", await log_in(api, gone), json={"password": OLD_PASSWORD})

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
