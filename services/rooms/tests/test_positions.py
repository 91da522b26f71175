"""What is unread."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from chat_rooms.service.positions import ActivityWriter
from chat_rooms.store import Collections, Positions
from chat_shared.bus.consumer import is_transient
from chat_shared.contracts.events import AppendedEntry, MessagesAppended, RoomAppended
from chat_shared.mongo import Mongo
from chat_shared.testing import ApiClient, User, eventually
from pymongo.errors import ConnectionFailure

BEGIN = datetime(2030, 1, 31, 12, tzinfo=UTC)


def appended(room_id: str, sender: User, *seqs: int) -> MessagesAppended:
    """Return what messaging says after `sender` wrote these entries."""
    entries = [
        AppendedEntry(
            message_id=str(ObjectId()),
            seq=seq,
            sender_id=sender.id,
            created_at=BEGIN + timedelta(seconds=seq),
        )
        for seq in seqs
    ]
    return MessagesAppended(rooms=[RoomAppended(room_id=room_id, entries=entries)])


async def reaches(api: ApiClient, room_id: str, user: User, seq: int) -> dict[str, Any]:
    """Return the room as `user` sees it when its log has reached `seq`."""

    async def room_at_seq() -> Any:
        room = await api.data("GET", f"/room/{room_id}", user)
        return room if room["lastSeq"] >= seq else None

    return await eventually(room_at_seq, 10, f"seq {seq}")


class TestActivity:
    async def test_messages_of_others_are_unread_and_own_ones_are_not(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await broker.say(appended(room_id, owner, 1, 2, 3))
        room = await reaches(api, room_id, member, 3)
        assert (room["lastSeq"], room["unread"]) == (3, 3)
        assert room["lastMessageAt"] == "2030-01-31T12:00:03.000Z"
        assert (await api.data("GET", "/room", owner))[0]["unread"] == 0

    async def test_who_joins_later_has_read_what_was_before(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await broker.say(appended(room_id, owner, 1, 2))
        await reaches(api, room_id, owner, 2)
        late = await rooms.add(room_id, owner)
        await broker.say(appended(room_id, owner, 3))
        assert (await reaches(api, room_id, late, 3))["unread"] == 1

    async def test_neither_repetition_nor_order_matters(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        events = [appended(room_id, owner, 1, 2), appended(room_id, member, 3), appended(room_id, owner, 4)]
        for event in (events[2], events[0], events[1], events[0], events[2], events[1]):
            await broker.say(event)
        room = await reaches(api, room_id, member, 4)
        assert (room["lastSeq"], room["lastMessageAt"]) == (4, "2030-01-31T12:00:04.000Z")

        async def unread_of_member() -> bool:
            return bool((await api.data("GET", f"/room/{room_id}", member))["unread"] == 1)

        await eventually(unread_of_member)
        assert (await api.data("GET", f"/room/{room_id}", owner))["unread"] == 0

    async def test_activity_of_a_deleted_room_is_let_go(
        self, api: ApiClient, rooms: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        gone, room_id = await rooms.create(owner), await rooms.create(owner)
        await api.data("DELETE", f"/room/{gone}", owner)
        await broker.say(appended(gone, owner, 1), appended(room_id, owner, 1))
        await reaches(api, room_id, owner, 1)


class TestActivityWriter:
    async def test_events_that_come_together_are_written_together(
        self, backing: Any, rooms: Any, new_user: Any, database: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        mongo = Mongo(backing.mongo_url, "chat_rooms")
        writes = 0

        class CountedPositions(Positions):
            async def advance(self, *changes: Any) -> None:
                nonlocal writes
                writes += 1
                await super().advance(*changes)

        writer = ActivityWriter(CountedPositions(Collections(mongo)))
        await asyncio.gather(*(writer.record(appended(room_id, owner, seq)) for seq in range(1, 101)))
        await mongo.stop()
        assert (await database.rooms.find_one({"_id": ObjectId(room_id)}))["lastSeq"] == 100
        assert writes < 5

    async def test_nobody_is_told_that_a_failed_write_worked(self, backing: Any) -> None:
        mongo = Mongo(backing.mongo_url, "chat_rooms")

        class FailingPositions(Positions):
            async def advance(self, *_changes: Any) -> None:
                await asyncio.sleep(0)
                raise ConnectionFailure

        writer = ActivityWriter(FailingPositions(Collections(mongo)))
        user = User(str(ObjectId()), "", "", "")
        outcomes = await asyncio.gather(
            *(writer.record(appended(str(ObjectId()), user, 1)) for _ in range(5)), return_exceptions=True
        )
        await mongo.stop()
        assert [is_transient(outcome) for outcome in outcomes] == [True] * 5


class TestMarkRead:
    async def test_only_moves_forward(self, api: ApiClient, rooms: Any, broker: Any, new_user: Any) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        member = await rooms.add(room_id, owner)
        await broker.say(appended(room_id, owner, *range(1, 11)))
        await reaches(api, room_id, member, 10)
        for seq, last_read, unread in ((4, 4, 6), (2, 4, 6), (0, 4, 6), (10, 10, 0)):
            answer = await api.data("POST", f"/room/{room_id}/read", member, json={"seq": seq})
            assert answer == {"roomId": room_id, "lastReadSeq": last_read, "lastSeq": 10, "unread": unread}

    async def test_asks_messaging_about_what_is_not_known_here_yet(
        self, api: ApiClient, rooms: Any, neighbours: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        neighbours.heads[room_id] = 7
        answer = await api.data("POST", f"/room/{room_id}/read", owner, json={"seq": 5})
        assert (answer["lastSeq"], answer["unread"]) == (7, 2)
        await api.refused(
            "POST", f"/room/{room_id}/read", owner, status=400, code="seq_beyond_head", json={"seq": 8}
        )
        # The list knows seq 3 by now and the reader seq 5: nothing is unread, and not minus two.
        await broker.say(appended(room_id, new_user(), 3))
        assert (await reaches(api, room_id, owner, 3))["unread"] == 0

    async def test_waits_for_messaging_only_where_it_is_needed(
        self, api: ApiClient, rooms: Any, neighbours: Any, broker: Any, new_user: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await broker.say(appended(room_id, new_user(), 1, 2))
        await reaches(api, room_id, owner, 2)
        await neighbours.go_away("messaging")
        try:
            await api.data("POST", f"/room/{room_id}/read", owner, json={"seq": 1})
            await api.refused(
                "POST", f"/room/{room_id}/read", owner, status=503, code="unavailable", json={"seq": 3}
            )
        finally:
            await neighbours.come_back("messaging")
        await api.refused(
            "POST", f"/room/{room_id}/read", owner, status=400, code="seq_beyond_head", json={"seq": 3}
        )

    @pytest.mark.parametrize("seq", [-1, 1.5, "1", None, True, 2**53, 10**30, {"$gt": 0}])
    async def test_seq_is_a_number_of_the_log(
        self, api: ApiClient, rooms: Any, new_user: Any, seq: Any
    ) -> None:
        owner = new_user()
        room_id = await rooms.create(owner)
        await api.refused(
            "POST", f"/room/{room_id}/read", owner, status=400, code="validation_failed", json={"seq": seq}
        )


async def test_an_event_that_cannot_be_stored_takes_no_other_along(
    backing: Any, database: Any, new_user: Any
) -> None:
    """Many events share one write; what is wrong with one of them is its own affair, and its own end."""
    sender, room_ids = new_user(), [str(ObjectId()) for _ in range(4)]
    await database.rooms.insert_many([{"_id": ObjectId(room_id), "lastSeq": 0} for room_id in room_ids])
    mongo = Mongo(backing.mongo_url, "chat_rooms")
    try:
        writer = ActivityWriter(Positions(Collections(mongo)))
        events = [appended(room_id, sender, number) for number, room_id in enumerate(room_ids, start=1)]
        events[2].rooms[0].entries[0].seq = 2**70
        outcomes = await asyncio.gather(*map(writer.record, events), return_exceptions=True)
    finally:
        await mongo.stop()
    assert [outcome is None for outcome in outcomes] == [True, True, False, True]
    assert not is_transient(outcomes[2])
    stored = [(await database.rooms.find_one({"_id": ObjectId(room_id)}))["lastSeq"] for room_id in room_ids]
    assert stored == [1, 2, 0, 4]


async def test_a_room_that_cannot_be_stored_takes_no_other_of_its_event_along(
    backing: Any, database: Any, new_user: Any
) -> None:
    sender, room_ids = new_user(), [str(ObjectId()) for _ in range(3)]
    await database.rooms.insert_many([{"_id": ObjectId(room_id), "lastSeq": 0} for room_id in room_ids])
    event = MessagesAppended(
        rooms=[appended(room_id, sender, number).rooms[0] for number, room_id in enumerate(room_ids, start=1)]
    )
    event.rooms[1].entries[0].seq = 2**70
    mongo = Mongo(backing.mongo_url, "chat_rooms")
    try:
        with pytest.raises(Exception) as failure:  # noqa: PT011 - any that is for good
            await ActivityWriter(Positions(Collections(mongo))).record(event)
    finally:
        await mongo.stop()
    assert not is_transient(failure.value)
    stored = [(await database.rooms.find_one({"_id": ObjectId(room_id)}))["lastSeq"] for room_id in room_ids]
    assert stored == [1, 0, 3]


async def test_an_event_is_tried_again_where_one_of_its_rooms_failed_for_a_while_only(backing: Any) -> None:
    """Beside a room that can never be stored: set aside, the event would not be tried again for the other."""
    user = User(str(ObjectId()), "", "", "")
    away, poisoned = str(ObjectId()), str(ObjectId())
    mongo = Mongo(backing.mongo_url, "chat_rooms")

    class FailingPositions(Positions):
        async def advance(self, rooms: Any, _own_messages: Any) -> None:
            raise ValueError if poisoned in rooms else ConnectionFailure

    event = MessagesAppended(rooms=[appended(room_id, user, 1).rooms[0] for room_id in (poisoned, away)])
    outcome = await asyncio.gather(
        ActivityWriter(FailingPositions(Collections(mongo))).record(event), return_exceptions=True
    )
    await mongo.stop()
    assert is_transient(outcome[0])
