"""How MongoDB finds entries: by index alone, and without looking at more than it returns."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from bson import ObjectId
from chat_messaging.domain import PENDING, MessageKey
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.mongo import Document, Mongo

if TYPE_CHECKING:
    from chat_local.stack import Stack

ROOMS = [str(ObjectId()) for _ in range(3)]
SENDERS = [str(ObjectId()) for _ in range(4)]
STORED, WAITING = 2_000, 20
"""Entries of each room; so many of the newest are not published yet."""
PAGE = 50
ALL_OPERATIONS = 2


def entry(room_id: str, seq: int) -> Document:
    """Return an entry as far as the indexes look at it."""
    waits = {"pub": PENDING} if seq > STORED - WAITING else {}
    return {
        "roomId": ObjectId(room_id),
        "seq": seq,
        "senderId": ObjectId(SENDERS[seq % len(SENDERS)]),
        "clientMessageId": f"client-{seq}",
        "ts": datetime.now(UTC) - timedelta(hours=1),
        **waits,
    }


class PlannedLog:
    """A log whose database writes down how it did what it was asked for."""

    def __init__(self, url: str) -> None:
        self.mongo = Mongo(url, f"test_plans_{secrets.token_hex(4)}")
        self.store = RoomLogStore(self.mongo)

    async def fill(self) -> None:
        await self.mongo.start()
        await self.mongo.wait_prepared()
        for room_id in ROOMS:
            await self.store.insert([entry(room_id, seq) for seq in range(1, STORED + 1)], timeout=10)
        await self.mongo.database.command("profile", ALL_OPERATIONS)

    async def plans(self) -> list[Document]:
        """Return how each operation on the log was done."""
        namespace = f"{self.mongo.database.name}.room_log"
        found = await self.mongo.database["system.profile"].find({"ns": namespace}).to_list()
        assert found, "nothing was written down"
        return found


@pytest.fixture
async def log(stack: "Stack") -> AsyncIterator[PlannedLog]:
    log = PlannedLog(stack.mongo_url)
    await log.fill()
    yield log
    await log.mongo.database.command("profile", 0)
    await log.mongo.database.client.drop_database(log.mongo.database.name)
    await log.mongo.stop()


def require_index_only(plans: list[Document], most_examined: int) -> None:
    for plan in plans:
        summary: Any = plan.get("planSummary", "")
        assert "IXSCAN" in summary or "DISTINCT_SCAN" in summary or "IDHACK" in summary, plan
        assert "COLLSCAN" not in summary, plan
        assert not plan.get("hasSortStage"), plan
        assert plan.get("docsExamined", 0) <= most_examined, plan


@pytest.mark.parametrize("seq", [1, STORED // 2, STORED])
async def test_pages_cost_what_they_show(log: PlannedLog, seq: int) -> None:
    await log.store.after(ROOMS[0], seq, PAGE)
    await log.store.before(ROOMS[0], seq, PAGE)
    require_index_only(await log.plans(), PAGE)


async def test_a_far_page_costs_no_more(log: PlannedLog) -> None:
    page = await log.store.before(ROOMS[0], STORED + 1, PAGE, skip=STORED - PAGE)
    assert [entry["seq"] for entry in page] == list(range(1, PAGE + 1))
    require_index_only(await log.plans(), PAGE)


async def test_the_newest_page_needs_the_head_first(log: PlannedLog) -> None:
    await log.store.before(ROOMS[0], None, PAGE)
    require_index_only(await log.plans(), PAGE)


async def test_heads_come_from_the_index(log: PlannedLog) -> None:
    assert await log.store.heads(ROOMS) == dict.fromkeys(ROOMS, STORED)
    assert await log.store.latest_seq(ROOMS[0]) == STORED
    require_index_only(await log.plans(), 1)


async def test_repeats_are_found_by_their_key(log: PlannedLog) -> None:
    keys = [MessageKey(SENDERS[seq % len(SENDERS)], f"client-{seq}") for seq in (3, 700, STORED)]
    assert len(await log.store.find_by_keys(ROOMS[0], keys)) == len(keys)
    require_index_only(await log.plans(), len(keys))


async def test_what_waits_is_found_among_what_waits(log: PlannedLog) -> None:
    pending = await log.store.pending(datetime.now(UTC), timedelta(seconds=5), PAGE)
    assert len(pending) == PAGE
    require_index_only(await log.plans(), PAGE)


async def test_flags_are_cleared_by_id(log: PlannedLog) -> None:
    pending = await log.store.pending(datetime.now(UTC), timedelta(seconds=5), PAGE)
    await log.store.mark_published([entry["_id"] for entry in pending])
    require_index_only(await log.plans(), PAGE)
