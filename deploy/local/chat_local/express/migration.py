"""The order in which everything is brought: accounts, then room by room its messages, then the room.

A room appears when its history is complete, so nobody can write into the middle of it, and a run that is
broken off leaves no room with half of its past.
"""

from dataclasses import dataclass

from chat_auth.importing import AccountImport
from chat_messaging.importing import MessageImport
from chat_rooms.importing import BroughtMembers, History, OldRoom, RoomImport
from chat_shared.importing import BROUGHT, GONE, HERE, Fate, Outcome, refused

from chat_local.express.report import Report
from chat_local.express.shapes import (
    Document,
    FoundMessage,
    FoundRoom,
    account_from,
    entity_id,
    message_from,
    room_from,
)
from chat_local.express.source import OldDatabase

_NO_ROOM = refused("there is no such room")
_NO_ID = "without an id"


@dataclass(slots=True)
class _Room:
    """A room whose messages are being brought."""

    id: str
    found: FoundRoom | None
    old: OldRoom | None
    outcome: Outcome
    """What will become of the room; its messages are brought only into one that is or will be here."""
    last: FoundMessage | None = None
    """The newest message that is in the log."""

    @property
    def takes_messages(self) -> bool:
        return self.outcome.fate in (Fate.BROUGHT, Fate.HERE)


class Migration:
    """One run."""

    def __init__(
        self,
        source: OldDatabase,
        accounts: AccountImport,
        rooms: RoomImport,
        messages: MessageImport,
        report: Report,
    ) -> None:
        self._source = source
        self._accounts = accounts
        self._rooms = rooms
        self._messages = messages
        self._report = report
        self._people: dict[str, Fate] = {}
        """What became of each account of the original."""
        self._seen: set[str] = set()
        """Rooms that are done."""

    async def run(self) -> None:
        """Bring everything that is not here yet.

        Raises:
            Unavailable, PyMongoError, TimeoutError: one of the databases is away; run it again.
        """
        self._report.expect(
            users=await self._source.count("users"),
            rooms=await self._source.count("rooms"),
            messages=await self._source.count("messages"),
        )
        await self._bring_accounts()
        await self._bring_rooms_with_messages()
        async for document in self._source.rooms():
            room_id = entity_id(document["_id"])
            if room_id is None:
                self._report.add("rooms", f"room {document['_id']!r}", refused("its _id is not an ObjectId"))
            elif room_id not in self._seen:
                await self._finish(await self._begin(room_id, room_from(document)))

    async def _bring_accounts(self) -> None:
        async for batch in self._source.users():
            fit = {user_id: document for document in batch if (user_id := entity_id(document["_id"]))}
            outcomes = await self._accounts.bring([account_from(document) for document in fit.values()])
            for document in batch:
                user_id = entity_id(document["_id"])
                outcome = outcomes[user_id] if user_id else refused("its _id is not an ObjectId")
                self._report.add("users", f"user {user_id or document['_id']!r}", outcome)
            self._people |= {user_id: outcome.fate for user_id, outcome in outcomes.items()}

    async def _bring_rooms_with_messages(self) -> None:
        room: _Room | None = None
        async for room_id, documents in self._source.messages():
            if room is None or room.id != (room_id or _NO_ID):
                if room is not None:
                    await self._finish(room)
                found = await self._source.room(room_id) if room_id else None
                room = await self._begin(room_id or _NO_ID, found)
            await self._append(room, documents)
        if room is not None:
            await self._finish(room)

    async def _begin(self, room_id: str, found: FoundRoom | None) -> _Room:
        if found is None:
            return _Room(room_id, None, None, _NO_ROOM)
        old = self._old_room(found)
        return _Room(room_id, found, old, await self._rooms.look(old))

    def _old_room(self, found: FoundRoom) -> OldRoom:
        """Return a room with those of its people who are here."""
        people = [user_id for user_id in found.people() if self._is_here(user_id)]
        return OldRoom(
            id=found.id,
            name=found.name,
            type=found.type,
            description=found.description,
            members={user_id: place for place, user_id in enumerate(people)},
            created_at=found.created_at,
            updated_at=found.updated_at,
        )

    def _is_here(self, user_id: str) -> bool:
        return self._people.get(user_id) in (Fate.BROUGHT, Fate.HERE)

    async def _append(self, room: _Room, documents: list[Document]) -> None:
        outcomes: dict[str, Outcome] = {}
        fit: list[FoundMessage] = []
        for document in documents:
            if entity_id(document["_id"]) is None:
                self._report.add_message(
                    repr(document["_id"]), room.id, refused("its _id is not an ObjectId")
                )
                continue
            message = message_from(document)
            outcomes[message.id] = self._objection(room, message)
            if outcomes[message.id] is BROUGHT:
                fit.append(message)
        if fit:
            old = [message.by(message.sender_id or "") for message in fit]
            # Not once per room: another run may make it appear, and then its people have to be told.
            is_live = room.outcome is HERE or await self._rooms.is_here(room.id)
            outcomes |= await self._messages.append(room.id, old, is_live=is_live)
        for message_id, outcome in outcomes.items():
            self._report.add_message(message_id, room.id, outcome)
        stored = [message for message in fit if outcomes[message.id].fate in (Fate.BROUGHT, Fate.HERE)]
        room.last = stored[-1] if stored else room.last

    def _objection(self, room: _Room, message: FoundMessage) -> Outcome:
        """Return why a message cannot be brought, before messaging looks at it."""
        if room.outcome is GONE or room.found is None:
            return room.outcome
        if not room.takes_messages:
            return refused("its room was left out")
        if message.sender_id is None:
            return refused("its sender is missing")
        fate = self._people.get(message.sender_id)
        if fate is None:
            return refused(f"its sender {message.sender_id} does not exist")
        if fate is Fate.REFUSED:
            return refused(f"its sender {message.sender_id} was left out")
        # What was deleted here is no reason to call every later run incomplete.
        return GONE if fate is Fate.GONE else BROUGHT

    async def _finish(self, room: _Room) -> None:
        self._seen.add(room.id)
        self._report.room_done(room.id)
        if room.found is None or room.old is None:
            return
        if not room.takes_messages:
            self._report.add("rooms", f"room {room.id}", room.outcome)
            return
        history = History(await self._messages.head(room.id), room.last.created_at if room.last else None)
        entries = await self._rooms.bring(room.old, history)
        if entries.is_gone:
            room.outcome = GONE
        elif room.outcome is BROUGHT:
            room.outcome = await self._new_room(room.found, room.old, entries)
        self._report.add("rooms", f"room {room.id}", room.outcome)
        for user_id in room.found.people():
            outcome = self._entry(user_id, room.old, entries)
            self._report.add("members", f"member {user_id} of room {room.id}", outcome)

    async def _new_room(self, found: FoundRoom, old: OldRoom, entries: BroughtMembers) -> Outcome:
        """Return what became of a room that was not here before, and tell when it has another owner."""
        owner = next((user_id for user_id in old.members if user_id in entries.entered), None)
        if owner is None:
            # Another run may have brought it meanwhile, with all its people.
            is_here = await self._rooms.is_here(found.id)
            return HERE if is_here else refused("none of its members can enter it")
        if owner != found.created_by:
            self._report.note(
                f"room {found.id} belongs to {owner} now: the account that made it is not in it"
            )
        if found.says_no_type:
            self._report.note(f"room {found.id} is private now: nothing says whether it was public")
        return BROUGHT

    def _entry(self, user_id: str, room: OldRoom, entries: BroughtMembers) -> Outcome:
        """Return what became of a member."""
        if entries.is_gone:
            return GONE
        if user_id not in room.members:
            return GONE if self._people.get(user_id) is Fate.GONE else refused("the account is not here")
        if user_id in entries.refused:
            return refused(entries.refused[user_id])
        return BROUGHT if user_id in entries.entered else HERE
