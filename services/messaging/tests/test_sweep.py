"""The sweep on real servers: what one room lacks must not keep the others waiting."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Body, MessageKey
from chat_messaging.fanout import Fanout, head_key
from chat_messaging.reading import Reader
from chat_messaging.relay import Relay
from chat_messaging.room_keys import RoomKeys
from chat_messaging.store.leases import LeaseStore
from chat_messaging.store.room_keys import RoomKeyStore
from chat_messaging.store.room_log import RoomLogStore
from chat_messaging.sweep import Sweep
from chat_shared.bus import Bus
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo
from chat_shared.redis import RedisConnection
from chat_shared.testing import eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

SENDER = str(ObjectId())


class Parts:
    """What is swept, and by whom."""

    def __init__(self, stack: "Stack") -> None:
        self.mongo = Mongo(stack.mongo_url, f"test_sweep_{secrets.token_hex(4)}")
        self.redis = RedisConnection(stack.redis_url)
        self.bus = Bus(stack.amqp_url, source="test")
        self.log = RoomLogStore(self.mongo)
        self.key_store = RoomKeyStore(self.mongo)
        master_keys = MasterKeys.parse(f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}")
        self.keys = RoomKeys(self.key_store, master_keys)
        relay = Relay(self.log, self.bus, CrashPoints())
        self.sweep = Sweep(
            self.mongo,
            self.log,
            LeaseStore(self.mongo, "test"),
            Reader(self.log, self.keys),
            Fanout(self.redis.client, CrashPoints(), relay.enqueue),
            relay,
            after_seconds=1,
        )

    async def leave_behind(
        self, room_id: str, count: int, *, age: timedelta = timedelta(minutes=1), missing: int = 0
    ) -> None:
        """Store entries as a process that died right after it had stored them, the last ones not at all."""
        key = await self.keys.for_writing(room_id)
        plaintext, entries = Body("x", "text", None).to_bytes(), []
        for seq in range(1, count + 1):
            message_id, message_key = ObjectId(), MessageKey(SENDER, secrets.token_hex(8))
            entries.append(
                {
                    "_id": message_id,
                    "roomId": ObjectId(room_id),
                    "seq": seq,
                    "senderId": ObjectId(SENDER),
                    "clientMessageId": message_key.client_message_id,
                    "type": "message",
                    "cipher": key.seal(room_id, message_id, message_key, plaintext),
                    "bodyHash": key.hash(message_key, plaintext),
                    "ts": utc_now() - age,
                }
            )
        entries[0] |= {"pub": 0, "more": count + missing - 1}
        await self.log.insert(entries, timeout=10)

    async def pending(self) -> set[str]:
        return {str(entry["roomId"]) for entry in await self.log.pending(utc_now(), timedelta(0), 10_000)}


@pytest.fixture
async def parts(stack: "Stack") -> AsyncIterator[Parts]:
    parts = Parts(stack)
    async with AsyncExitStack() as running:
        for part in (parts.redis, parts.mongo, parts.bus):
            await part.start()
            running.push_async_callback(part.stop)
        await parts.mongo.wait_prepared()
        await eventually(lambda: parts.bus.is_connected, timeout=20)
        yield parts


async def test_a_room_whose_key_does_not_open_keeps_no_other_waiting(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_messaging.sweep.BATCH", 3)
    locked, behind = f"{1:024x}", f"{2:024x}"
    await parts.leave_behind(locked, 5)
    await parts.leave_behind(behind, 5)
    other_master = MasterKeys.parse(f"k2:{base64.b64encode(secrets.token_bytes(32)).decode()}")
    wrapped = other_master.wrap(secrets.token_bytes(32), b"elsewhere").to_document()
    await parts.mongo.collection("room_keys").update_one(
        {"_id": ObjectId(locked)}, {"$set": {"wrapped": wrapped}}
    )
    parts.keys.forget_all()
    await parts.sweep.start()
    try:
        await eventually(lambda: _only(parts, locked), timeout=10)
    finally:
        await parts.sweep.stop()


async def test_a_flag_stands_for_all_that_was_inserted_with_it(parts: Parts) -> None:
    room_id = str(ObjectId())
    await parts.leave_behind(room_id, 7)
    await parts.sweep.start()
    try:
        await eventually(lambda: _none(parts), timeout=10)
    finally:
        await parts.sweep.stop()
    assert await parts.redis.client.get(head_key(room_id)) == b"7"


async def test_a_flag_stays_while_a_slow_insert_may_still_bring_the_rest(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, behind = f"{1:024x}", f"{2:024x}"
    await parts.leave_behind(slow, 3, age=timedelta(seconds=10), missing=2)
    await parts.leave_behind(behind, 3, age=timedelta(seconds=10))
    await parts.sweep.start()
    try:
        await eventually(lambda: _only(parts, slow), timeout=10)
        assert await parts.redis.client.get(head_key(slow)) == b"3"
        monkeypatch.setattr("chat_messaging.late_inserts.LATE_SECONDS", 0.0)
        await eventually(lambda: _none(parts), timeout=10)
    finally:
        await parts.sweep.stop()


async def _only(parts: Parts, room_id: str) -> bool:
    return await parts.pending() == {room_id}


async def test_an_entry_from_the_future_is_left_behind_too(parts: Parts) -> None:
    """A process whose clock is ahead dies like any other."""
    await parts.leave_behind(f"{3:024x}", 2, age=timedelta(minutes=-10))
    await parts.sweep.start()
    try:
        await eventually(lambda: _none(parts), timeout=10)
    finally:
        await parts.sweep.stop()


async def _none(parts: Parts) -> bool:
    in_future = await parts.log.pending(utc_now() + timedelta(hours=1), timedelta(0), 10)
    return not in_future
