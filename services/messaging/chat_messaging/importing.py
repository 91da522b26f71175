"""Appends messages of the Express original to room logs: with their ids and dates, numbered and sealed here.

They go the way of a live message behind a rival: head and insert in one transaction, under the same unique
indexes. So a room that is written to meanwhile stays dense, and what an earlier run appended is not again.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from chat_shared.contracts.sockets import MessageType, SendMessage
from chat_shared.crypto import MasterKeys
from chat_shared.importing import BROUGHT, GONE, HERE, Outcome, WrongMasterKeys, opened, refused
from chat_shared.mongo import Document, Mongo
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from chat_messaging.domain import Body, Draft, MessageKey, Placed, documents_of
from chat_messaging.errors import RoomNotFound
from chat_messaging.room_keys import RoomKeys
from chat_messaging.settings import Settings
from chat_messaging.store.room_keys import RoomKeyStore
from chat_messaging.store.room_log import RoomLogStore

MAX_BATCH = 500
KEY_PREFIX = "import-"
"""What stands in for a client's own id of a message: the original's clients gave none."""
INSERT_SECONDS = 10.0
ATTEMPTS = 12
LONGEST_PAUSE_SECONDS = 1.0

_WEB_ADDRESS = re.compile(r"https?://[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A message as the original stored it, in a room and by a user that exist here."""

    id: str
    sender_id: str
    content: str
    message_type: MessageType
    image_url: str | None
    created_at: datetime


class MessageImport:
    """Use `open_messages`. Every step may be repeated: what is in the log already stays as it is."""

    def __init__(self, store: RoomLogStore, keys: RoomKeys, *, dry_run: bool) -> None:
        self._store = store
        self._keys = keys
        self._dry_run = dry_run

    async def head(self, room_id: str) -> int:
        """Return the highest `seq` of a room, 0 for one without messages."""
        return (await self._store.heads([room_id])).get(room_id, 0)

    async def append(
        self, room_id: str, messages: Sequence[OldMessage], *, is_live: bool
    ) -> dict[str, Outcome]:
        """Append messages to one room, in this order; return what became of each, by id.

        Args:
            room_id: where to.
            messages: `MAX_BATCH` at most.
            is_live: the room is in use, so sockets and the rooms service are told of its new messages.

        Raises:
            PyMongoError, TimeoutError: MongoDB is away; a part may be stored.
        """
        outcomes = {message.id: _fitness(room_id, message) for message in messages}
        fit = {ObjectId(message.id): message for message in messages if outcomes[message.id] is BROUGHT}
        for message_id in await self._store.present(list(fit)):
            outcomes[str(message_id)] = HERE
            del fit[message_id]
        if fit and not self._dry_run:
            try:
                await self._insert(room_id, list(fit.values()), is_live=is_live)
            except RoomNotFound:
                outcomes |= {message.id: GONE for message in fit.values()}
        return outcomes

    async def _insert(self, room_id: str, messages: Sequence[OldMessage], *, is_live: bool) -> None:
        """Insert what is not in the log yet, until all of it is there."""
        drafts = await self._seal(room_id, messages)
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(random.uniform(0, min(0.02 * 2**attempt, LONGEST_PAUSE_SECONDS)))
            try:
                present = await self._store.present([draft.message_id for draft, _ in drafts])
                drafts = [(draft, at) for draft, at in drafts if draft.message_id not in present]
                if drafts:
                    await self._insert_once(room_id, drafts, is_live=is_live)
                return
            # Whether it lost a race, met its own earlier try, or nobody knows: the next look tells.
            except (PyMongoError, TimeoutError):
                if attempt == ATTEMPTS - 1:
                    raise

    async def _insert_once(
        self, room_id: str, drafts: Sequence[tuple[Draft, datetime]], *, is_live: bool
    ) -> None:
        def behind(head: int) -> list[Document]:
            places = [
                Placed(draft.message_id, seq, created_at)
                for seq, (draft, created_at) in enumerate(drafts, start=head + 1)
            ]
            if is_live:
                return documents_of([draft for draft, _ in drafts], places)
            return [
                draft.document(place.seq, place.created_at)
                for (draft, _), place in zip(drafts, places, strict=True)
            ]

        await self._store.insert_behind_head(room_id, behind, timeout=INSERT_SECONDS)

    async def _seal(self, room_id: str, messages: Sequence[OldMessage]) -> list[tuple[Draft, datetime]]:
        """Return messages as entries without a number, with their dates.

        Raises:
            RoomNotFound: the room was deleted here, and its key with it.
        """
        room_key = await self._keys.for_writing(room_id)
        loop = asyncio.get_running_loop()
        drafts = []
        for message in messages:
            message_id = ObjectId(message.id)
            key = MessageKey(message.sender_id, f"{KEY_PREFIX}{message.id}")
            body = Body(message.content, message.message_type, message.image_url)
            plaintext = body.to_bytes()
            draft = Draft(
                room_id=room_id,
                key=key,
                body=body,
                message_id=message_id,
                cipher=room_key.seal(room_id, message_id, key, plaintext),
                body_hash=room_key.hash(key, plaintext),
                deadline=0,
                answer=loop.create_future(),
            )
            drafts.append((draft, message.created_at))
        return drafts


@asynccontextmanager
async def open_messages(settings: Settings, *, dry_run: bool) -> AsyncIterator[MessageImport]:
    """Give an import into the database of these settings; with `dry_run` it only says what it would do.

    Raises:
        WrongMasterKeys: the settings are not those of this database.
        PyMongoError: MongoDB does not answer.
    """
    mongo = Mongo(settings.mongo_url, "chat_messaging")
    store = RoomLogStore(mongo)
    keys = RoomKeys(RoomKeyStore(mongo), MasterKeys.parse(settings.master_keys.get_secret_value()))
    async with opened(mongo, dry_run=dry_run):
        if not await keys.opens():
            raise WrongMasterKeys
        yield MessageImport(store, keys, dry_run=dry_run)


def _fitness(room_id: str, message: OldMessage) -> Outcome:
    """Tell whether a message could have been sent here."""
    # Who sends one here cannot choose any other address: it has to be one of an upload.
    if message.image_url is not None and not _WEB_ADDRESS.fullmatch(message.image_url):
        return refused("its imageUrl is not an http:// or https:// address")
    try:
        SendMessage(
            room_id=room_id,
            content=message.content,
            message_type=message.message_type,
            image_url=message.image_url,
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = f"its {first['loc'][0]}" if first["loc"] else "it"
        return refused(f"{field} does not fit: {first['msg']}")
    return BROUGHT
