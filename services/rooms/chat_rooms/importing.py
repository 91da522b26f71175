"""Brings rooms of the Express original in, with their members, once their history stands in the log.

The others learn of them by the events that tell of any new room and member.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chat_shared.bus import Bus
from chat_shared.contracts.events import Event
from chat_shared.importing import BROUGHT, HERE, Outcome, opened, refused, relaying
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pydantic import ValidationError
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_rooms.domain import Bounds, Membership, Role, Room, new_membership, new_room
from chat_rooms.errors import RoomFull, RoomNotFound, TooManyRooms
from chat_rooms.schemas import RoomCreate
from chat_rooms.service import facts
from chat_rooms.settings import Settings
from chat_rooms.store import Activity, Collections, Entries, ImportedRooms, Positions, Transaction

MEMBERS_AT_ONCE = 200
"""A transaction has to stay small."""


@dataclass(frozen=True, slots=True)
class OldRoom:
    """A room as the original stored it; its owner is the first of its members."""

    id: str
    name: str | None
    type: str | None
    description: str
    members: Mapping[str, int]
    """Users that exist here, in the order in which they joined, with their places in it."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """Where the log of a room stands when the room appears."""

    head: int
    last_at: datetime | None


@dataclass(slots=True)
class BroughtMembers:
    """What became of the members of one room who were not brought before."""

    entered: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    """User -> why they could not be brought in."""
    is_gone: bool = False
    """The room was deleted here while its members came."""


class RoomImport:
    """Use `open_rooms`. Every step may be repeated: what is here stays as it is."""

    def __init__(self, mongo: Mongo, outbox: Outbox, bounds: Bounds, *, dry_run: bool) -> None:
        self._mongo = mongo
        self._outbox = outbox
        self._bounds = bounds
        self._dry_run = dry_run
        self._collections = Collections(mongo)
        self._imported = ImportedRooms(self._collections)
        self._positions = Positions(self._collections)

    async def look(self, room: OldRoom) -> Outcome:
        """Tell what `bring` would do with a room: its messages come before it."""
        outcome = await self._imported.fate(room.id)
        return _fitness(room) if outcome is BROUGHT else outcome

    async def is_here(self, room_id: str) -> bool:
        """Tell whether a room is here by now: another run may have brought it."""
        return await self._imported.fate(room_id) is HERE

    async def bring(self, room: OldRoom, history: History) -> BroughtMembers:
        """Store a room that is not here yet, and those members who were not brought before.

        What was written up to now counts as read for everybody who is brought.

        Raises:
            Unavailable, PyMongoError: MongoDB is away; a part of the members may be in.
        """
        brought = BroughtMembers()
        known = await self._imported.brought(room.id)
        waiting = [user_id for user_id in room.members if user_id not in known]
        if self._dry_run:
            brought.entered.update(waiting)
            return brought
        for start in range(0, len(waiting), MEMBERS_AT_ONCE):
            await self._bring_members(room, history, waiting[start : start + MEMBERS_AT_ONCE], brought)
        if history.last_at is not None:
            # Another run may have made the room appear before this one had appended its last message.
            await self._positions.advance({room.id: Activity(history.head, history.last_at)}, {})
        return brought

    async def _bring_members(
        self, room: OldRoom, history: History, user_ids: Sequence[str], brought: BroughtMembers
    ) -> None:
        async def work(session: AsyncClientSession) -> _Entry:
            return await self._enter(session, room, history, user_ids)

        entry = await self._mongo.transaction(work)
        self._outbox.flush()
        brought.entered.update(membership.user_id for membership in entry.memberships)
        brought.refused |= entry.refused
        brought.is_gone |= entry.is_gone

    async def _enter(
        self, session: AsyncClientSession, old: OldRoom, history: History, user_ids: Sequence[str]
    ) -> "_Entry":
        tx, entries = (
            Transaction(session, self._collections, self._outbox),
            Entries(session, self._collections),
        )
        try:
            current: Room | None = (await tx.standing(old.id, user_ids[0])).room
        except RoomNotFound:
            if await entries.was_brought(old.id):
                return _Entry(old, history, None, is_gone=True)
            current = None
        present = await entries.members_among(old.id, user_ids)
        coming = [user_id for user_id in user_ids if user_id not in present]
        places = await entries.claim_places(coming) if coming else {}
        entry = _Entry(old, history, current)
        for user_id in coming:
            if reason := self._objection(entry.room, places[user_id]):
                entry.refused[user_id] = reason
            else:
                entry.let_in(user_id)
        if entry.room is not None:
            await entries.note(old.id, [user_id for user_id in user_ids if user_id not in entry.refused])
        if entry.room is not None and entry.memberships:
            await entries.add(entry.memberships)
            listed = replace(entry.room, listed_members=await tx.first_members(old.id))
            await (tx.add_room(listed) if current is None else tx.save_room(listed))
            await tx.tell(*entry.events)
        return entry

    def _objection(self, room: Room | None, room_count: int | None) -> str | None:
        """Return why a user cannot enter, if so."""
        if room_count is None:
            return "the account was deleted here"
        try:
            self._bounds.require_place_for_user(room_count)
            if room is not None:
                self._bounds.require_place_in(room)
        except TooManyRooms:
            return f"the user is in {room_count} rooms already (CHAT_MAX_ROOMS_PER_USER)"
        except RoomFull:
            return f"the room has {self._bounds.members_per_room} members (CHAT_MAX_MEMBERS_PER_ROOM)"
        return None


@dataclass(slots=True)
class _Entry:
    """A room while users enter it."""

    old: OldRoom
    history: History
    room: Room | None
    memberships: list[Membership] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    is_gone: bool = False

    def let_in(self, user_id: str) -> None:
        """Let a user in; the first one makes the room and owns it."""
        # The original kept the order of its members and no dates.
        joined_at = self.old.created_at + timedelta(milliseconds=self.old.members[user_id])
        role: Role = "member"
        if self.room is None:
            self.room = self._new_room(user_id)
            self.events.append(facts.room_created(self.room))
            role = "owner"
        else:
            self.room = self.room.with_member(user_id)
        membership = new_membership(self.room, user_id, role, joined_at)
        last_read = max(self.room.last_seq, self.history.head)
        self.memberships.append(replace(membership, last_read_seq=last_read))
        self.events.append(facts.member_joined(self.room, membership))

    def _new_room(self, owner_id: str) -> Room:
        wanted = _validated(self.old)
        room, _ = new_room(
            self.old.id,
            name=wanted.room_name,
            room_type=wanted.room_type,
            description=wanted.description,
            owner_id=owner_id,
            now=self.old.created_at,
        )
        return replace(
            room,
            last_seq=self.history.head,
            last_message_at=self.history.last_at,
            active_at=self.history.last_at or self.old.created_at,
            updated_at=self.old.updated_at,
        )


@asynccontextmanager
async def open_rooms(settings: Settings, *, dry_run: bool, publishes: bool) -> AsyncIterator[RoomImport]:
    """Give an import into the database of these settings.

    Args:
        settings: those of rooms' processes.
        dry_run: only say what would become of everything; nothing is written.
        publishes: tell of new rooms and members over the broker of the settings; otherwise the services do.

    Raises:
        PyMongoError: MongoDB does not answer.
    """
    mongo = Mongo(settings.mongo_url, "chat_rooms")
    bus = Bus(settings.amqp_url, source="rooms")
    outbox = Outbox(mongo, bus, instance="import")
    importing = RoomImport(mongo, outbox, settings.bounds, dry_run=dry_run)
    async with (
        opened(mongo, dry_run=dry_run),
        relaying(bus, outbox, publishes=publishes and not dry_run),
    ):
        yield importing


def _fitness(room: OldRoom) -> Outcome:
    if not room.members:
        return refused("it has no member whose account is here, so nobody could own it")
    try:
        _validated(room)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return refused(f"its {first['loc'][0]} does not fit: {first['msg']}")
    return BROUGHT


def _validated(room: OldRoom) -> RoomCreate:
    return RoomCreate.model_validate(
        {"roomName": room.name, "roomType": room.type, "description": room.description}
    )
