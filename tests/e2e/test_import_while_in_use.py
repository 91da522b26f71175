"""`chat import`, run again while the installation is in use."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from chat_shared.testing import ApiClient, Connect, eventually
from chat_shared.testing.express_database import populated
from chat_shared.testing.importing import NewImporter, log_in, whole_history

if TYPE_CHECKING:
    from chat_local.stack import Stack


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
    await importer.store(database)

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

    messages = await whole_history(api, reader, room)
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
    last_imported = max(seq for seq in by_seq if seq not in sent)
    assert shown["unread"] <= len([seq for seq in sent if seq > last_imported])


async def test_a_quiet_room_is_told_of_what_came_later(
    new_importer: NewImporter, api: ApiClient, connect: Connect, old_hash: str
) -> None:
    """Nobody writes here: who listens hears the messages all the same, and they count as unread."""
    database = populated(old_hash, users=2, rooms=1, messages=3)
    room = database.rooms[0]
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    sender, reader = database.users
    listening = await log_in(api, reader)
    socket = await connect(listening)
    later = [str(database.add_message(room, sender)["_id"]) for _ in range(2)]
    await importer.store(database)
    assert (await importer.run()).sums("messages") == (2, 3, 0, 0)

    messages = await socket.wait_for_many("new-message", 2, timeout=15)
    assert [(message["_id"], message["seq"]) for message in messages] == list(zip(later, (4, 5), strict=True))

    async def counted() -> bool:
        shown = await api.data("GET", f"/room/{room['_id']}", listening)
        return (shown["lastSeq"], shown["unread"]) == (5, 2)

    await eventually(counted, timeout=15)


@pytest.mark.parametrize("broker", ["given", "not given", "away"])
async def test_who_is_connected_hears_of_a_new_room(
    new_importer: NewImporter,
    own_stack: "Stack",
    api: ApiClient,
    connect: Connect,
    old_hash: str,
    broker: str,
) -> None:
    """The command tells it, or, where it has not got the broker, leaves that to the services."""
    database = populated(old_hash, users=2, rooms=1, messages=1)
    importer = await new_importer(database)
    assert (await importer.run()).code == 0
    room = database.add_room(*database.users)
    await importer.store(database)
    sender, listener = [await log_in(api, user) for user in database.users]
    socket = await connect(listener)

    direct = importer.mongo_url.partition("?")[0] + "?directConnection=true"
    settings = {"CHAT_MONGO_URL": direct, "CHAT_SECRETS_DIR": str(own_stack.options.state_dir / "secrets")}
    if broker != "not given":
        settings["CHAT_AMQP_URL"] = own_stack.amqp_url if broker == "given" else "amqp://127.0.0.1:1/"
    ended = await importer.run(**settings)
    assert ended.code == 0, ended.output
    path = f"/room/{room['_id']}/messages"

    async def heard() -> bool:
        sent = await api.data("POST", path, sender, status=201, json={"content": "new here"})
        return sent["_id"] in {message["_id"] for message in socket.events("new-message")}

    await eventually(heard, timeout=15)
