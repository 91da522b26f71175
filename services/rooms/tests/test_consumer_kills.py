"""The only consumer is killed in the middle of its work, twenty times: each effect is there once."""

import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from chat_local.ports import PortBook
from chat_local.process import ManagedProcess
from chat_local.services import Addresses, spec
from chat_local.stack import Stack, StackOptions
from chat_local.state import StateFolder
from chat_rooms.domain import Membership, Room
from chat_rooms.store.collections import membership_document, new_room_document
from chat_shared.bus import Bus, dead_letter_queue
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import (
    AppendedEntry,
    Event,
    MemberLeft,
    MessagesAppended,
    RoomAppended,
    UserDeleted,
)
from chat_shared.testing import eventually
from chat_shared.testing.queues import depth
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

NewBus = Callable[[Callable[[Bus], None]], Awaitable[Bus]]

KILLS = 20
ROOMS = [str(ObjectId()) for _ in range(10)]
OWNER, WRITER = str(ObjectId()), str(ObjectId())
LEAVERS = [str(ObjectId()) for _ in range(2 * KILLS)]
ENTRIES_PER_LIFE = 5
QUEUES = ("rooms.activity", "rooms.accounts")
UNREACHABLE = ["http://127.0.0.1:9"]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Stack]:
    """Servers of its own, where nobody else consumes."""
    async with Stack(StackOptions(state_dir=tmp_path, services=False)) as stack:
        yield stack


@pytest.fixture
async def consumer(servers: Stack) -> AsyncIterator[ManagedProcess]:
    """A process of rooms that stays dead when it is killed."""
    state = StateFolder(servers.options.state_dir)
    port = PortBook(state.run / "rooms-ports.json").port("rooms-1")
    urls = dict.fromkeys(("auth", "rooms", "messaging", "media"), UNREACHABLE)
    secrets = Path(servers.options.state_dir, "secrets")
    addresses = Addresses(
        "http://localhost:8080", servers.mongo_url, servers.redis_url, servers.amqp_url, secrets, urls
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    process = ManagedProcess(spec("rooms-1", port, addresses, environ, {}), state, print)
    process.auto_restart = False
    await process.start()
    await process.wait_ready()
    yield process
    await process.stop()


@pytest.fixture
async def database(servers: Stack) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    async with AsyncMongoClient(servers.mongo_url, tz_aware=True) as client:
        # MongoDB keeps what a killed process had locked in a transaction for a minute, unless told otherwise.
        await client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=2)
        yield client["chat_rooms"]


@pytest.fixture
async def new_bus(servers: Stack) -> AsyncIterator[NewBus]:
    opened: list[Bus] = []

    async def connect(prepare: Callable[[Bus], None]) -> Bus:
        bus = Bus(servers.amqp_url, source="test")
        opened.append(bus)
        prepare(bus)
        await bus.start()
        await eventually(lambda: bus.is_connected, 20)
        return bus

    yield connect
    for bus in opened:
        await bus.stop()


async def fill(database: AsyncDatabase[dict[str, Any]]) -> None:
    """Put everybody into every room."""
    now, users = utc_now(), [OWNER, WRITER, *LEAVERS]
    for room_id in ROOMS:
        room = Room(
            room_id, "A room", "public", "", OWNER, len(users), tuple(users), 1, 0, None, now, now, now
        )
        await database.rooms.insert_one(new_room_document(room))
        await database.memberships.insert_many(
            membership_document(
                Membership(
                    room_id,
                    user_id,
                    "owner" if user_id == OWNER else "member",
                    1,
                    now + timedelta(milliseconds=number),
                    0,
                )
            )
            for number, user_id in enumerate(users)
        )


def work_of(life: int) -> list[Event]:
    """Return what happens during one life of the consumer: two accounts go, every room is written to."""
    written = [
        MessagesAppended(
            rooms=[
                RoomAppended(
                    room_id=room_id,
                    entries=[
                        AppendedEntry(
                            message_id=str(ObjectId()), seq=seq, sender_id=WRITER, created_at=utc_now()
                        )
                    ],
                )
            ]
        )
        for room_id in ROOMS
        for seq in range(life * ENTRIES_PER_LIFE + 1, (life + 1) * ENTRIES_PER_LIFE + 1)
    ]
    return [*(UserDeleted(user_id=user_id) for user_id in LEAVERS[2 * life : 2 * life + 2]), *written]


@pytest.mark.timeout(400)
async def test_effects_are_there_once(
    servers: Stack, consumer: ManagedProcess, database: AsyncDatabase[dict[str, Any]], new_bus: NewBus
) -> None:
    await fill(database)
    departures: dict[str, tuple[str, str]] = {}

    async def hear(event: Event) -> None:
        if isinstance(event, MemberLeft):
            departures[event.event_id] = (event.room_id, event.user_id)

    async def nothing() -> None:
        return None

    bus = await new_bus(lambda bus: bus.listen([MemberLeft.key], hear, nothing))
    for life in range(KILLS):
        await consumer.start()
        before = await database.memberships.count_documents({})
        await bus.publish(work_of(life))

        async def has_begun(before: int = before) -> bool:
            return await database.memberships.count_documents({}) < before

        await eventually(has_begun, 60, "the first of twenty departures")
        consumer.kill()
        await consumer.wait_exit()
    await consumer.start()

    async def is_done() -> bool:
        left = await database.memberships.count_documents({}) == 2 * len(ROOMS)
        return left and [await depth(servers.amqp_url, queue) for queue in QUEUES] == [0, 0]

    await eventually(is_done, 60, "all work")
    head = KILLS * ENTRIES_PER_LIFE
    await eventually(lambda: len(departures) >= len(ROOMS) * len(LEAVERS), 30, "every departure is told")

    async def all_written() -> bool:
        return await database.rooms.count_documents({"lastSeq": head}) == len(ROOMS)

    await eventually(all_written, 30)
    async for room in database.rooms.find({}):
        assert (room["memberCount"], room["rev"], room["lastSeq"]) == (2, 1 + len(LEAVERS), head)
        assert {str(user_id) for user_id in room["members"]} == {OWNER, WRITER}
    async for membership in database.memberships.find({}):
        assert membership["lastReadSeq"] == (head if str(membership["userId"]) == WRITER else 0)
    assert set(Counter(departures.values()).values()) == {1}
    assert [await depth(servers.amqp_url, dead_letter_queue(queue)) for queue in QUEUES] == [0, 0]
