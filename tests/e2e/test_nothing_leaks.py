"""After everything else: no text, password, token or cookie is left where it does not belong."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aio_pika
import pytest
from bson import json_util
from chat_shared.bus import DURABLE_QUEUES, dead_letter_queue
from chat_shared.testing import PASSWORD, ApiClient, Connect, NewRoom, NewUser, eventually
from pymongo import AsyncMongoClient

if TYPE_CHECKING:
    from chat_local.stack import Stack

CANARY = "canary-7f3a91-nobody-else-says-this"
JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}")
SECRETS = re.compile(rb"(?i)(accessToken|refreshToken|password)\W{1,4}[A-Za-z0-9_-]{16,}")

pytestmark = pytest.mark.last


async def dump_mongo(url: str) -> dict[str, bytes]:
    """Return every collection as text."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url)
    dump = {}
    for database in await client.list_database_names():
        if database.startswith("chat_"):
            for collection in await client[database].list_collection_names():
                rows = [row async for row in client[database][collection].find()]
                dump[f"{database}.{collection}"] = json_util.dumps(rows).encode() + _binaries(rows)
    await client.close()
    return dump


def _binaries(value: Any) -> bytes:
    """Return the binary fields of a document as they are: `json_util` shows them in base64."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b"".join(_binaries(item) for item in value.values())
    if isinstance(value, list):
        return b"".join(_binaries(item) for item in value)
    return b""


async def dump_queues(url: str) -> dict[str, bytes]:
    """Return what lies in every durable queue and its dead letters."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel()
    dump = {}
    for name in DURABLE_QUEUES:
        for queue_name in (name, dead_letter_queue(name)):
            queue = await channel.get_queue(queue_name)
            found = b""
            while (message := await queue.get(fail=False, no_ack=False)) is not None:
                found += message.body
            dump[queue_name] = found
    await connection.close()
    return dump


def read_files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
async def said(api: ApiClient, new_user: NewUser, new_room: NewRoom) -> str:
    """A text that went every way a text can go, and was read back."""
    user = await new_user()
    room = await new_room(user)
    await api.data(
        "POST",
        f"/room/{room['id']}/messages",
        user,
        status=201,
        json={"content": CANARY, "clientMessageId": "c-1"},
    )
    page = await api.data("GET", f"/room/{room['id']}/messages", user)
    assert page["messages"][0]["content"] == CANARY
    return str(room["id"])


async def test_databases(own_stack: "Stack", said: str, new_user: NewUser) -> None:
    user = await new_user()
    forbidden = [CANARY.encode(), PASSWORD.encode(), user.access_token.encode(), user.refresh_token.encode()]
    dump = await dump_mongo(own_stack.mongo_url)
    assert b"clientMessageId" in dump["chat_messaging.room_log"], "the dump shows nothing at all"
    found = [
        name for name, text in dump.items() if any(secret in text for secret in forbidden) or JWT.search(text)
    ]
    assert found == []


async def test_queues_and_the_brokers_files(own_stack: "Stack", said: str) -> None:
    dump = await dump_queues(own_stack.amqp_url)
    dump |= read_files(own_stack.logs_dir.parent / "data" / "rabbitmq")
    assert [name for name, text in dump.items() if CANARY.encode() in text or JWT.search(text)] == []


async def test_logs(own_stack: "Stack", said: str, new_user: NewUser, connect: Connect) -> None:
    user = await new_user()
    await connect(user)
    logs = read_files(own_stack.logs_dir)
    assert any(b'"route"' in text for text in logs.values()), "there is nothing in the logs at all"
    forbidden = [CANARY.encode(), PASSWORD.encode(), user.refresh_token.encode()]
    found = {
        name: match.group()[:60] if match else b"a secret of this run"
        for name, text in logs.items()
        if (match := JWT.search(text) or SECRETS.search(text)) or any(secret in text for secret in forbidden)
    }
    assert found == {}


async def test_nothing_was_set_aside_and_nothing_waits(own_stack: "Stack", said: str) -> None:
    """All events of the run were handled, and every outbox is empty."""

    async def settled() -> bool:
        queues = await dump_queues(own_stack.amqp_url)
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(own_stack.mongo_url)
        waiting = [
            await client[database]["outbox"].count_documents({})
            for database in ("chat_auth", "chat_rooms", "chat_media")
        ]
        waiting.append(await client["chat_messaging"]["room_log"].count_documents({"pub": 0}))
        await client.close()
        assert [name for name, text in queues.items() if text] == []
        assert waiting == [0, 0, 0, 0]
        return True

    await eventually(settled, timeout=20)


SERVICES = ("auth", "rooms", "messaging", "media", "gateway-ws")
#: Logged as errors by the Engine.IO library, and provoked by clients.
EXPECTED_ERRORS = ("is not an accepted origin", "Session is disconnected", "Invalid session")


async def test_no_service_logged_a_failure(own_stack: "Stack") -> None:
    """An error in a log of the stack is a defect: none is expected, whatever was killed or sent."""
    names = [process.name for service in SERVICES for process in own_stack.instances(service)]
    errors = [
        f"{name}: {line[:300]}"
        for name in names
        for line in (own_stack.logs_dir / f"{name}.log").read_text(errors="replace").splitlines()
        if '"level":"error"' in line and not any(expected in line for expected in EXPECTED_ERRORS)
    ]
    assert errors == []
