"""The appender on a real MongoDB: dense, once, in order — also when the answer gets lost."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from bson import ObjectId
from chat_messaging.appender import AppenderParts
from chat_messaging.appenders import Appenders
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Body, Committed, Draft, MessageKey
from chat_messaging.group_commit import MAX_BYTES, GroupCommit
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.contracts.internal import SendResult
from chat_shared.mongo import Document, Mongo
from chat_shared.testing import eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

SENDER = str(ObjectId())


class Process:
    """What one messaging process has of the appender: its own connection, its own idea of the head."""

    def __init__(
        self,
        url: str,
        database: str,
        may_write: Callable[[Draft], bool] = lambda _draft: True,
        crash_at: str = "",
    ) -> None:
        self.mongo = Mongo(url, database)
        self.store = RoomLogStore(self.mongo)
        self.committed: list[Committed] = []
        self.inserts = GroupCommit(self.store, CrashPoints(crash_at))
        parts = AppenderParts(
            self.store, self.inserts, may_write, self.committed.extend, CrashPoints(crash_at), 10_000
        )
        self.appenders = Appenders(parts, max_waiting=10_000)

    async def start(self) -> "Process":
        await self.mongo.start()
        await self.mongo.wait_prepared()
        return self

    async def stop(self) -> None:
        await self.appenders.stop()
        await self.inserts.stop()
        await self.mongo.stop()

    def send(
        self, room_id: str, key: str = "", text: str = "x", seconds: float = 8.0
    ) -> asyncio.Future[SendResult]:
        body = Body(text, "text", None)
        draft = Draft(
            room_id=room_id,
            key=MessageKey(SENDER, key or secrets.token_hex(8)),
            body=body,
            message_id=ObjectId(),
            cipher={"v": 1, "keyId": "r1", "nonce": b"", "ct": body.to_bytes()},
            body_hash=body.to_bytes(),
            deadline=time.monotonic() + seconds,
            answer=asyncio.get_running_loop().create_future(),
        )
        self.appenders.submit(draft)
        return draft.answer


@pytest.fixture
def room_id() -> str:
    return str(ObjectId())


@pytest.fixture(scope="module")
def database() -> str:
    return f"test_appender_{secrets.token_hex(4)}"


@pytest.fixture
async def process(stack: "Stack", database: str) -> AsyncIterator[Process]:
    process = await Process(stack.mongo_url, database).start()
    yield process
    await process.stop()


@pytest.fixture
async def other(stack: "Stack", database: str) -> AsyncIterator[Process]:
    process = await Process(stack.mongo_url, database).start()
    yield process
    await process.stop()


async def stored(process: Process, room_id: str) -> list[dict[str, Any]]:
    return await process.store.after(room_id, 0, 100_000)


def require_dense(entries: list[dict[str, Any]], count: int) -> None:
    """Every number is there, and a flag stands for every entry: here nobody clears any."""
    assert [entry["seq"] for entry in entries] == list(range(1, count + 1))
    flagged = [range(entry["seq"], entry["seq"] + 1 + entry["more"]) for entry in entries if "pub" in entry]
    assert {seq for stretch in flagged for seq in stretch} >= set(range(1, count + 1))


async def test_numbers_are_dense_in_the_order_of_arrival(process: Process, room_id: str) -> None:
    results = await asyncio.gather(*(process.send(room_id, text=str(number)) for number in range(1200)))
    assert [result.seq for result in results] == list(range(1, 1201))
    entries = await stored(process, room_id)
    require_dense(entries, 1200)
    assert [entry.placed.seq for entry in process.committed] == list(range(1, 1201))
    with_flag = [entry.placed.seq for entry in process.committed if entry.has_flag]
    assert with_flag == [entry["seq"] for entry in entries if "pub" in entry]
    assert len(with_flag) < 10


async def test_rooms_with_long_messages_do_not_share_one_huge_insert(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, sizes = process.store.insert, []

    async def recorded(documents: Sequence[Document], *, timeout: float) -> None:
        sizes.append(sum(len(document["cipher"]["ct"]) for document in documents))
        await insert(documents, timeout=timeout)

    monkeypatch.setattr(process.store, "insert", recorded)
    text = "x" * (MAX_BYTES // 5)
    results = await asyncio.gather(*(process.send(str(ObjectId()), text=text) for _ in range(10)))
    assert [result.seq for result in results] == [1] * 10
    assert max(sizes) <= MAX_BYTES < sum(sizes)


async def test_a_later_send_gets_a_higher_number(process: Process, room_id: str) -> None:
    seqs = [(await process.send(room_id)).seq for _ in range(5)]
    assert seqs == [1, 2, 3, 4, 5]


async def test_two_processes_share_a_room(process: Process, other: Process, room_id: str) -> None:
    async def talk(each: Process) -> list[SendResult]:
        results = []
        for _ in range(40):
            results += await asyncio.gather(*(each.send(room_id) for _ in range(5)))
        return results

    by_process = await asyncio.gather(talk(process), talk(other))

    results = [result for results in by_process for result in results]
    assert {result.error for result in results} == {None}
    assert sorted(result.seq or 0 for result in results) == list(range(1, 401))
    require_dense(await stored(process, room_id), 400)
    for results in by_process:
        assert [result.seq for result in results] == sorted(result.seq or 0 for result in results)


async def test_the_same_message_is_stored_once(process: Process, other: Process, room_id: str) -> None:
    answers = [each.send(room_id, "same") for each in (process, other) for _ in range(25)]
    results = await asyncio.gather(*answers)
    assert len({(result.message_id, result.seq, result.created_at) for result in results}) == 1
    assert Counter(result.duplicate for result in results)[False] <= 1
    require_dense(await stored(process, room_id), 1)


async def test_a_repeat_in_the_middle_of_a_batch(process: Process, other: Process, room_id: str) -> None:
    first = await process.send(room_id, "first")
    results = await asyncio.gather(*(other.send(room_id, key) for key in ("a", "b", "first", "c", "d")))
    assert [result.seq for result in results] == [2, 3, 1, 4, 5]
    assert results[2].message_id == first.message_id
    require_dense(await stored(process, room_id), 5)


async def test_the_same_key_with_another_text_is_a_conflict(
    process: Process, other: Process, room_id: str
) -> None:
    await process.send(room_id, "k", "one text")
    for each in (process, other):
        result = await each.send(room_id, "k", "another text")
        assert result.error is not None
        assert (result.error.code, result.error.retryable) == ("idempotency_conflict", False)


async def test_a_sender_who_left_is_refused_before_the_insert(
    stack: "Stack", database: str, room_id: str
) -> None:
    gone = await Process(stack.mongo_url, database, may_write=lambda _draft: False).start()
    result = await gone.send(room_id)
    assert result.error is not None
    assert result.error.code == "not_a_member"
    assert await stored(gone, room_id) == []
    await gone.stop()


async def test_nobody_waits_for_what_came_too_late(process: Process, room_id: str) -> None:
    result = await process.send(room_id, seconds=-1)
    assert result.error is not None
    assert result.error.retryable
    assert await stored(process, room_id) == []


async def test_a_whole_outbox_that_is_sent_again(process: Process, other: Process, room_id: str) -> None:
    keys = [f"outbox-{number}" for number in range(40)]
    first = await asyncio.gather(*(process.send(room_id, key) for key in keys))
    again = await asyncio.gather(*(other.send(room_id, key) for key in [*keys, "new"]))
    assert [result.error for result in again if result.error] == []
    assert [result.message_id for result in again[:-1]] == [result.message_id for result in first]
    require_dense(await stored(process, room_id), 41)


async def test_one_who_gives_up_early_costs_the_others_nothing(process: Process, room_id: str) -> None:
    await process.send(room_id)
    admin = process.mongo.database.client.admin
    await admin.command("fsync", lock=True)  # every write waits, as on a disk that hangs
    try:
        answers = [process.send(room_id, seconds=0.3), process.send(room_id, seconds=5.0)]
        await asyncio.sleep(0.8)
    finally:
        await admin.command("fsyncUnlock")
    patient = await answers[1]
    assert patient.error is None
    require_dense(await stored(process, room_id), 3)


async def test_the_head_is_read_only_when_no_failover_can_take_it_back(
    process: Process, room_id: str
) -> None:
    await process.send(room_id)
    admin = process.mongo.database.client.admin
    await admin.command("fsync", lock=True)  # nothing new gets to a majority
    try:
        head = asyncio.create_task(process.store.latest_seq(room_id))
        done, _ = await asyncio.wait([head], timeout=0.5)
        assert not done
    finally:
        await admin.command("fsyncUnlock")
    assert await head == 1


class ReplyEater:
    """A TCP proxy that can swallow what the server answers, as a cut connection does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.eating = False
        self.eaten = asyncio.Event()
        self.cut_next_request = False

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        self._writers += [writer, up_writer]
        await asyncio.gather(self._pump(reader, up_writer, False), self._pump(up_reader, writer, True))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, replies: bool) -> None:
        while data := await reader.read(65536):
            if not replies and self.cut_next_request and b"insert" in data:
                self.cut_next_request = False
                self.cut()
                return
            if replies and self.eating:
                self.eaten.set()
            else:
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        """Drop every connection; new ones work again."""
        self.eating = False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()


@pytest.fixture
async def eater(stack: "Stack") -> AsyncIterator[ReplyEater]:
    address = urlsplit(stack.mongo_url.replace("mongodb://", "http://"))
    eater = ReplyEater(address.hostname or "", address.port or 0)
    yield eater
    await eater.stop()


async def test_an_insert_whose_answer_was_lost_is_found_again(
    eater: ReplyEater, process: Process, database: str, room_id: str
) -> None:
    port = await eater.start()
    behind = await Process(
        f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false", database
    ).start()
    await behind.send(room_id)

    eater.eating = True
    answer = behind.send(room_id, "lost answer")
    await eventually(lambda: process.store.find_by_keys(room_id, [MessageKey(SENDER, "lost answer")]))
    await eater.eaten.wait()
    eater.cut()

    result = await answer
    assert (result.error, result.seq) == (None, 2)
    assert (await behind.send(room_id)).seq == 3
    require_dense(await stored(process, room_id), 3)
    assert [entry.placed.seq for entry in behind.committed] == [1, 2, 3]
    await behind.stop()


async def test_an_insert_that_never_arrived_is_made_again(
    eater: ReplyEater, process: Process, database: str, room_id: str
) -> None:
    """The connection dies before the insert gets through; MongoDB is back long before the sender gives up."""
    port = await eater.start()
    behind = await Process(
        f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false", database
    ).start()
    await behind.send(room_id)
    eater.cut_next_request = True
    began = time.monotonic()
    result = await behind.send(room_id)
    assert (result.error, result.seq) == (None, 2)
    assert time.monotonic() - began < 5
    require_dense(await stored(process, room_id), 2)
    await behind.stop()


async def test_an_outcome_that_stays_unknown_is_never_ok(
    eater: ReplyEater, process: Process, database: str, room_id: str
) -> None:
    port = await eater.start()
    behind = await Process(
        f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false", database
    ).start()
    await behind.send(room_id)
    eater.eating = True
    result = await behind.send(room_id, "unknown", seconds=1.0)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("unknown", True)
    eater.cut()

    repeated = await behind.send(room_id, "unknown")
    assert repeated.error is None
    assert (await process.send(room_id, "unknown")).message_id == repeated.message_id
    require_dense(await stored(process, room_id), 2)
    await behind.stop()


async def test_history_and_heads_use_indexes_only(process: Process, room_id: str) -> None:
    await asyncio.gather(*(process.send(room_id) for _ in range(50)))
    log = process.mongo.database["room_log"]
    room = ObjectId(room_id)
    plans = [
        await log.find({"roomId": room, "seq": {"$gt": 3}}).sort("seq", 1).limit(10).explain(),
        await log.find({"roomId": room, "seq": {"$lt": 30}}).sort("seq", -1).limit(10).explain(),
        await log.find({"pub": 0}).sort([("roomId", 1), ("seq", 1)]).hint("pending").limit(10).explain(),
    ]
    for plan in plans:
        stages = str(plan["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in stages
        assert "COLLSCAN" not in stages
        assert "'SORT'" not in stages
    assert await process.store.heads([room_id]) == {room_id: 50}


def test_an_insert_waits_for_a_majority_and_its_journal(process: Process) -> None:
    concern = process.mongo.collection("room_log").write_concern
    assert concern.document == {"w": "majority", "j": True}


async def test_what_was_under_way_when_the_log_was_replaced_is_forgotten_too(
    process: Process, room_id: str
) -> None:
    assert (await process.send(room_id, "a")).seq == 1
    under_way = process.send(room_id, "b")
    for _ in range(3):
        await asyncio.sleep(0)
    process.appenders.forget()
    assert (await under_way).seq == 2
    await process.store.delete_room(room_id)  # the log that was restored does not know the room
    assert (await process.send(room_id, "c")).seq == 1
    repeated = await process.send(room_id, "b")
    assert (repeated.seq, repeated.duplicate) == (2, False)
