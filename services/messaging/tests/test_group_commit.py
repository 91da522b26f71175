"""One insert for many rooms, on a real MongoDB: what a failure means for each of them."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import CrashPoints
from chat_messaging.group_commit import (
    MAX_BYTES,
    MAX_DOCUMENTS,
    MAX_INSERTS,
    MAX_SLOW_INSERTS,
    GroupCommit,
)
from chat_messaging.outcomes import Cause, InsertFailure
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.mongo import Document, Mongo
from chat_shared.testing import eventually
from pymongo.errors import PyMongoError

if TYPE_CHECKING:
    from chat_local.stack import Stack


class RecordedLog(RoomLogStore):
    """The log, with the sizes of the inserts that it was asked for."""

    def __init__(self, mongo: Mongo) -> None:
        super().__init__(mongo)
        self.inserts: list[int] = []
        self.under_way = 0
        self.most_under_way = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def insert(self, documents: Sequence[Document], *, timeout: float) -> None:
        self.inserts.append(len(documents))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.goes_on.wait()
            await super().insert(documents, timeout=timeout)
        finally:
            self.under_way -= 1


@pytest.fixture
async def log(stack: "Stack") -> AsyncIterator[RecordedLog]:
    mongo = Mongo(stack.mongo_url, f"test_group_commit_{secrets.token_hex(4)}")
    log = RecordedLog(mongo)
    await mongo.start()
    await mongo.wait_prepared()
    yield log
    await mongo.stop()


@pytest.fixture
async def inserts(log: RecordedLog) -> AsyncIterator[GroupCommit]:
    inserts = GroupCommit(log, CrashPoints())
    yield inserts
    log.goes_on.set()
    await inserts.stop()


def entries(room_id: str, *places: int, key: str = "") -> list[Document]:
    return [
        {
            "_id": ObjectId(),
            "roomId": ObjectId(room_id),
            "seq": seq,
            "senderId": ObjectId(),
            "clientMessageId": key or secrets.token_hex(8),
            "ts": datetime.now(UTC),
        }
        for seq in places
    ]


async def insert(
    inserts: GroupCommit, documents: Sequence[Document], seconds: float = 8.0, size: int = 1
) -> InsertFailure | None:
    return await inserts.insert(documents, size=size, deadline=time.monotonic() + seconds)


async def insert_all(inserts: GroupCommit, rooms: Sequence[str], *places: int) -> list[InsertFailure | None]:
    return await asyncio.gather(*(insert(inserts, entries(room, *places)) for room in rooms))


async def places(log: RoomLogStore, room_id: str) -> list[int]:
    return [entry["seq"] for entry in await log.after(room_id, 0, 10_000)]


def new_rooms(count: int) -> list[str]:
    return [str(ObjectId()) for _ in range(count)]


async def test_rooms_that_are_ready_together_share_an_insert(log: RecordedLog, inserts: GroupCommit) -> None:
    rooms = new_rooms(10)
    failures = await asyncio.gather(*(insert(inserts, entries(room, 1, 2)) for room in rooms))
    assert failures == [None] * 10
    assert log.inserts == [20]
    assert [await places(log, room) for room in rooms] == [[1, 2]] * 10


async def test_what_comes_meanwhile_waits_for_the_next_insert(log: RecordedLog, inserts: GroupCommit) -> None:
    log.goes_on.clear()
    under_way = []
    for number, room in enumerate(new_rooms(MAX_INSERTS), start=1):
        under_way.append(asyncio.create_task(insert(inserts, entries(room, 1))))
        await eventually(lambda number=number: len(log.inserts) == number)
    later = [asyncio.create_task(insert(inserts, entries(room, 1))) for room in new_rooms(5)]
    await asyncio.sleep(0)  # the five have asked
    assert len(log.inserts) == MAX_INSERTS
    log.goes_on.set()
    await asyncio.gather(*under_way, *later)
    assert sum(log.inserts) == MAX_INSERTS + 5
    assert len(log.inserts) == MAX_INSERTS + 1


async def test_an_insert_has_a_bound(log: RecordedLog, inserts: GroupCommit) -> None:
    each = range(1, MAX_DOCUMENTS // 2)
    await insert_all(inserts, new_rooms(5), *each)
    assert log.inserts == [2 * len(each), 2 * len(each), len(each)]


async def test_an_insert_has_a_bound_of_bytes_too(log: RecordedLog, inserts: GroupCommit) -> None:
    sizes = [MAX_BYTES // 2, MAX_BYTES // 2, 1, MAX_BYTES, 2 * MAX_BYTES, 1, 1]
    rooms = new_rooms(len(sizes))
    await asyncio.gather(
        *(insert(inserts, entries(room, 1), size=size) for room, size in zip(rooms, sizes, strict=True))
    )
    assert log.inserts == [2, 1, 1, 1, 2]


@pytest.mark.parametrize("taken", [1, 2, 3])
async def test_a_taken_place_is_the_matter_of_its_room_alone(
    log: RecordedLog, inserts: GroupCommit, taken: int
) -> None:
    before, rival, behind, last = rooms = new_rooms(4)
    assert await insert(inserts, entries(rival, taken)) is None
    failures = await asyncio.gather(*(insert(inserts, entries(room, 1, 2, 3)) for room in rooms))
    assert failures == [None, InsertFailure(Cause.SEQ_TAKEN, taken - 1), None, None]
    assert await places(log, rival) == list(range(1, taken + 1))
    for room in (before, behind, last):
        assert await places(log, room) == [1, 2, 3]


async def test_several_rooms_may_fail_in_one_insert(log: RecordedLog, inserts: GroupCommit) -> None:
    rooms = new_rooms(6)
    for rival in rooms[::2]:
        await insert(inserts, entries(rival, 2, key="said already"))
    failures = await asyncio.gather(*(insert(inserts, entries(room, 1, 2)) for room in rooms))
    assert failures == [InsertFailure(Cause.SEQ_TAKEN, 1), None] * 3
    assert [await places(log, room) for room in rooms] == [[1, 2]] * 6


@pytest.mark.parametrize(("one_in", "failing"), [(1, 300), (2, 150), (10, 30)])
async def test_rooms_that_fail_do_not_have_the_others_sent_again_and_again(
    log: RecordedLog, inserts: GroupCommit, one_in: int, failing: int
) -> None:
    rooms, sent_once = new_rooms(300), 600
    await insert_all(inserts, rooms[::one_in], 2)
    log.inserts.clear()
    log.most_under_way = 0

    failures = await insert_all(inserts, rooms, 1, 2)

    for number, failure in enumerate(failures):
        assert failure == (InsertFailure(Cause.SEQ_TAKEN, 1) if number % one_in == 0 else None)
    assert failures.count(None) == 300 - failing
    assert [await places(log, room) for room in rooms] == [[1, 2]] * 300
    assert all(size % 2 == 0 for size in log.inserts)  # a room's entries stay together
    assert len(log.inserts) <= 300
    assert sum(log.inserts) <= sent_once * math.log2(sent_once)
    assert MAX_INSERTS < log.most_under_way <= MAX_SLOW_INSERTS


async def test_groups_are_large_again_when_nothing_fails_any_more(
    log: RecordedLog, inserts: GroupCommit
) -> None:
    rivals = new_rooms(30)
    await insert_all(inserts, rivals, 1)
    await insert_all(inserts, rivals, 1)
    assert log.inserts[-1] == 1
    for room in new_rooms(10):
        await insert(inserts, entries(room, 1))
    log.inserts.clear()
    await insert_all(inserts, new_rooms(300), 1)
    assert log.inserts == [300]


async def test_what_nobody_waits_for_is_not_tried(log: RecordedLog, inserts: GroupCommit) -> None:
    late, fine = new_rooms(2)
    failures = await asyncio.gather(
        insert(inserts, entries(late, 1), seconds=0), insert(inserts, entries(fine, 1))
    )
    assert failures == [InsertFailure(Cause.NOT_TRIED), None]
    assert await places(log, late) == []


async def test_without_an_answer_every_room_has_to_find_out() -> None:
    mongo = Mongo("mongodb://127.0.0.1:9/?directConnection=true", "test")
    inserts = GroupCommit(RoomLogStore(mongo), CrashPoints())
    outcomes = await asyncio.gather(
        *(insert(inserts, entries(room, 1), seconds=0.2) for room in new_rooms(3)), return_exceptions=True
    )
    assert [isinstance(outcome, PyMongoError) for outcome in outcomes] == [True] * 3
    await inserts.stop()
    await mongo.stop()


async def test_who_is_cancelled_leaves_the_others_alone(log: RecordedLog, inserts: GroupCommit) -> None:
    log.goes_on.clear()
    gone, stays = new_rooms(2)
    cancelled = asyncio.create_task(insert(inserts, entries(gone, 1)))
    waiting = asyncio.create_task(insert(inserts, entries(stays, 1)))
    await eventually(lambda: log.inserts == [2])
    cancelled.cancel()
    log.goes_on.set()
    assert await waiting is None
