"""Reads the original's database; nothing here writes to it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import DatetimeConversion
from pymongo import ASCENDING, AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from chat_local.express.shapes import (
    DATE_FIELDS,
    END_OF_DATES,
    FIRST_DATE,
    ROOM_FIELDS,
    Document,
    FoundRoom,
    entity_id,
    room_from,
)

ANSWER_MS = 10_000
SILENCE_MS = 600_000
"""The one sort of all messages takes minutes; a server that is silent for longer is away."""
BATCH = 500
MAX_BATCH_BYTES = 2_000_000

#: What mongoose calls the collections of the models User, Room and Message, and of models of like names.
_COLLECTIONS = {
    "users": ("users",),
    "rooms": ("rooms", "chatrooms"),
    "messages": ("messages", "chatmessages"),
}
_NO_URL = (
    "this is no URL of MongoDB: mongodb://HOST/NAME or mongodb://USER:PASSWORD@HOST/NAME, "
    "with %XX for each character of the password that is no letter or digit"
)
_OWN_DATABASES = frozenset({"chat_auth", "chat_rooms", "chat_messaging", "chat_media"})


class NotTheOriginal(Exception):
    """The URL, or the database behind it, is not one of the original; the message says why."""


class OldDatabase:
    """The original's collections. Use it with `async with`."""

    def __init__(self, url: str) -> None:
        """Raises:
        NotTheOriginal: the URL is none, or names no database. The message holds nothing of it: it may have
            a password.
        """
        try:
            parts = parse_uri(url, warn=False)
            client = _client(url)
        except (PyMongoError, ValueError, TypeError):
            raise NotTheOriginal(_NO_URL) from None
        name = parts["database"]
        if not name:
            raise NotTheOriginal("the URL has to name the database: mongodb://HOST/NAME")
        if name in _OWN_DATABASES:
            raise NotTheOriginal(f"{name} is a database of this project, not of the original")
        self.where = ", ".join(f"{host}:{port}" for host, port in parts["nodelist"])
        """The servers, without the password that may stand in the URL."""
        self.name: str = name
        self._client = client
        self._found: dict[str, str] = {}

    async def __aenter__(self) -> "OldDatabase":
        """Look what is there.

        Raises:
            NotTheOriginal: the database has no users or no rooms.
            PyMongoError: it does not answer.
        """
        try:
            names = await self._client[self.name].list_collection_names()
        except BaseException:
            await self._client.close()
            raise
        self._found = {
            kind: next((name for name in wanted if name in names), "")
            for kind, wanted in _COLLECTIONS.items()
        }
        for kind in ("users", "rooms"):
            if not self._found[kind]:
                await self._client.close()
                raise NotTheOriginal(f"the database {self.name} at {self.where} has no collection {kind}")
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.close()

    async def count(self, kind: str) -> int:
        """Return about how many `users`, `rooms` or `messages` there are."""
        return await self._collection(kind).estimated_document_count() if self._found[kind] else 0

    async def users(self) -> AsyncIterator[list[Document]]:
        """Give all accounts, the oldest first, some at a time."""
        async for batch in _batches(self._collection("users").find().sort("_id", ASCENDING)):
            yield batch

    async def rooms(self) -> AsyncIterator[Document]:
        """Give all rooms, the oldest first."""
        async for document in self._collection("rooms").find().sort("_id", ASCENDING):
            yield document

    async def room(self, room_id: str) -> FoundRoom | None:
        """Return one room."""
        wanted = {"_id": {"$in": [ObjectId(room_id), room_id]}}
        document = await self._collection("rooms").find_one(wanted)
        return None if document is None else room_from(document)

    async def messages(self) -> AsyncIterator[tuple[str | None, list[Document]]]:
        """Give all messages room by room, those of a room by date and `_id`, some at a time, with its id.

        The original has no index that would help, so the database sorts all of them once, on its disk.
        """
        if not self._found["messages"]:
            return
        pipeline = [
            {"$addFields": {"_room": _as_text(_either(ROOM_FIELDS)), "_at": _either_date()}},
            {"$sort": {"_room": ASCENDING, "_at": ASCENDING, "_id": ASCENDING}},
        ]
        cursor = await self._collection("messages").aggregate(pipeline, allowDiskUse=True)
        room: str | None = None
        waiting: list[Document] = []
        size = 0
        async for document in cursor:
            if waiting and (document["_room"] != room or len(waiting) == BATCH or size > MAX_BATCH_BYTES):
                yield entity_id(room), waiting
                waiting, size = [], 0
            room = document["_room"]
            waiting.append(document)
            size += _size(document)
        if waiting:
            yield entity_id(room), waiting

    def _collection(self, kind: str) -> AsyncCollection[dict[str, Any]]:
        return self._client[self.name][self._found[kind]]


async def _batches(cursor: AsyncIterator[Document]) -> AsyncIterator[list[Document]]:
    waiting: list[Document] = []
    size = 0
    async for document in cursor:
        waiting.append(document)
        size += _size(document)
        if len(waiting) == BATCH or size > MAX_BATCH_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _client(url: str) -> AsyncMongoClient[dict[str, Any]]:
    """Return a client that reads what other drivers let through: odd dates, and text that is no UTF-8."""
    return AsyncMongoClient(
        url,
        tz_aware=True,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        unicode_decode_error_handler="replace",
        serverSelectionTimeoutMS=ANSWER_MS,
        socketTimeoutMS=SILENCE_MS,
        appname="chat import",
    )


def _size(document: Document) -> int:
    """Return about how many bytes a document takes; any field may be a large one."""
    return len(bson.encode(document))


def _either(fields: Sequence[str]) -> Any:
    """Return the expression for the first of these fields that is there."""
    expression: Any = None
    for field in reversed(fields):
        expression = {"$ifNull": [f"${field}", expression]}
    return expression


def _as_text(expression: Any) -> Document:
    """Return the expression for an id as text: some clients' rooms were stored as such."""
    return {"$toLower": {"$convert": {"input": expression, "to": "string", "onError": "", "onNull": ""}}}


def _either_date() -> Any:
    """Return the expression for what `shapes` takes as the date of a message."""
    own: Any = {"$convert": {"input": "$_id", "to": "date", "onError": None, "onNull": None}}
    for field in reversed(DATE_FIELDS):
        is_date = [
            {"$eq": [{"$type": f"${field}"}, "date"]},
            {"$gte": [f"${field}", FIRST_DATE]},
            {"$lt": [f"${field}", END_OF_DATES]},
        ]
        own = {"$cond": [{"$and": is_date}, f"${field}", own]}
    return own
