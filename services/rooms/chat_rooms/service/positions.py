"""Unread messages: what was written, and how far each member has read."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chat_shared.bus.consumer import is_transient
from chat_shared.contracts.events import MessagesAppended, RoomAppended
from chat_shared.errors import Unavailable

from chat_rooms.domain import Standing
from chat_rooms.errors import RoomNotFound, SeqBeyondHead
from chat_rooms.service.parts import Parts
from chat_rooms.store.positions import Activity, Positions


async def mark_read(parts: Parts, room_id: str, user_id: str, seq: int) -> Standing:
    """Note that a member has read up to `seq`; an earlier one than before changes nothing.

    Raises:
        RoomNotFound, NotAMember: the user is not in this room.
        SeqBeyondHead: the room has no such message.
        Unavailable: messaging would have to be asked and is away.
    """
    standing = await parts.queries.standing(room_id, user_id)
    standing.require_member()
    room = standing.room
    if seq > room.last_seq:
        # Our own figure follows messaging with a delay; the reader may have seen more.
        room = replace(room, last_seq=await parts.room_logs.head(room_id))
        if seq > room.last_seq:
            raise SeqBeyondHead
    membership = await parts.positions.mark_read(room_id, user_id, seq)
    if membership is None:
        raise RoomNotFound
    return Standing(room, membership)


@dataclass(slots=True)
class _Batch:
    """What arrived while the last write was under way."""

    rooms: dict[str, Activity] = field(default_factory=dict)
    own_messages: dict[tuple[str, str], int] = field(default_factory=dict)
    is_stored: bool = False
    is_poisoned: bool = False
    """Something in it can never be stored, so each of its events has to be tried alone."""

    def add(self, room: RoomAppended) -> None:
        newest = Activity(
            max(entry.seq for entry in room.entries), max(entry.created_at for entry in room.entries)
        )
        known = self.rooms.get(room.room_id, newest)
        self.rooms[room.room_id] = Activity(
            max(known.last_seq, newest.last_seq), max(known.last_at, newest.last_at)
        )
        for entry in room.entries:
            key = (room.room_id, entry.sender_id)
            self.own_messages[key] = max(self.own_messages.get(key, 0), entry.seq)


def _batch_of(rooms: Iterable[RoomAppended]) -> _Batch:
    batch = _Batch()
    for room in rooms:
        batch.add(room)
    return batch


class ActivityWriter:
    """Moves rooms forward for appended messages, many events with one write.

    While a write is under way the next batch fills: a quiet room waits for nothing, and a busy server does
    not pay two updates per event.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._waiting = _Batch()
        self._turn = asyncio.Lock()

    async def record(self, event: MessagesAppended) -> None:
        """Return when the event's effect is stored; may be repeated, and come in any order.

        Raises:
            Unavailable: the write that carried this event failed, through no fault of its events.
            Exception: this event cannot be stored.
        """
        batch = self._waiting
        for room in event.rooms:
            batch.add(room)
        async with self._turn:
            if batch is self._waiting:
                self._waiting = _Batch()
                await self._store_together(batch)
            if batch.is_poisoned:
                await self._store_alone(event)
            elif not batch.is_stored:
                raise Unavailable("The activity of this room could not be stored")

    async def _store_together(self, batch: _Batch) -> None:
        try:
            await self._store(batch)
        except Exception as error:
            # One bad event must not have the others set aside, nor have them tried again for ever with it.
            batch.is_poisoned = not is_transient(error)
            if not batch.is_poisoned:
                raise

    async def _store_alone(self, event: MessagesAppended) -> None:
        """Store an event by itself, and where that does not work one of its rooms after the other.

        A failure for a while only ends it: the event is tried again, which it is not once it is set aside.
        """
        try:
            await self._store(_batch_of(event.rooms))
        except Exception as error:
            if is_transient(error):
                raise
            await self._store_by_room(event.rooms, error)

    async def _store_by_room(self, rooms: Sequence[RoomAppended], failure: Exception) -> None:
        for room in rooms:
            try:
                await self._store(_batch_of([room]))
            except Exception as error:
                if is_transient(error):
                    raise
                failure = error
        raise failure

    async def _store(self, batch: _Batch) -> None:
        await self._positions.advance(batch.rooms, batch.own_messages)
        batch.is_stored = True
