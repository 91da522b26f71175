"""What the log has, on its way to other services: through a real broker."""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Committed, Placed
from chat_messaging.relay import EVENT_ROOMS, Relay
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.bus import Bus
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import Event, MessagesAppended
from chat_shared.mongo import Mongo
from chat_shared.testing import eventually

if TYPE_CHECKING:
    from chat_local.stack import Stack

SENDER = str(ObjectId())


def entry(room_id: str, seq: int, *, has_flag: bool = True) -> Committed:
    return Committed(Placed(ObjectId(), seq, utc_now()), room_id, SENDER, "42[]", has_flag)


async def _nothing() -> None:
    return None


async def test_rooms_share_an_event_and_each_keeps_its_order(stack: "Stack") -> None:
    rooms = [str(ObjectId()) for _ in range(EVENT_ROOMS + 1)]
    heard: list[MessagesAppended] = []

    async def hear(event: Event) -> None:
        assert isinstance(event, MessagesAppended)
        heard.extend([event] if {room.room_id for room in event.rooms} & set(rooms) else [])

    mongo = Mongo(stack.mongo_url, f"test_relay_{secrets.token_hex(4)}")
    bus = Bus(stack.amqp_url, source="test")
    bus.listen([MessagesAppended.key], hear, _nothing)
    await mongo.start()
    await bus.start()
    try:
        await mongo.wait_prepared()
        await eventually(lambda: bus.is_connected, timeout=20)
        entries = [entry(room_id, seq) for seq in (1, 2) for room_id in rooms]
        assert await Relay(RoomLogStore(mongo), bus, CrashPoints()).relay(entries)
        await eventually(lambda: sum(len(event.rooms) for event in heard) == len(rooms))
    finally:
        await bus.stop()
        await mongo.stop()
    assert [len(event.rooms) for event in heard] == [EVENT_ROOMS, 1]
    assert [room.room_id for event in heard for room in event.rooms] == rooms
    assert all([entry.seq for entry in room.entries] == [1, 2] for event in heard for room in event.rooms)


async def test_a_flag_is_cleared_with_all_that_it_stands_for(
    stack: "Stack", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_messaging.relay.MAX_BATCH", 2)
    relay = Relay(
        RoomLogStore(Mongo(stack.mongo_url, "test_relay")), Bus(stack.amqp_url, source="test"), CrashPoints()
    )
    relayed: list[list[int]] = []

    async def note(entries: Sequence[Committed]) -> bool:
        relayed.append([each.placed.seq for each in entries])
        return True

    monkeypatch.setattr(relay, "relay", note)
    room_id = str(ObjectId())
    relay.enqueue([entry(room_id, seq, has_flag=seq in (1, 5, 6)) for seq in range(1, 9)])
    await relay.start()
    try:
        await eventually(lambda: sum(map(len, relayed)) == 8)
    finally:
        await relay.stop()
    assert relayed == [[1, 2, 3, 4], [5, 6, 7, 8]]
