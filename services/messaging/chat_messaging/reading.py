"""Entries as readers see them: decrypted, oldest first, from what a majority has."""

from collections.abc import Sequence
from typing import Any

from chat_shared.crypto import DecryptionFailed
from chat_shared.logging import get_logger
from chat_shared.mongo import Document

from chat_messaging.domain import Body, Committed, MessageKey, frame_of, message_view, placed_of
from chat_messaging.metrics import UNREADABLE
from chat_messaging.room_keys import RoomKeys
from chat_messaging.store.room_log import RoomLogStore

log = get_logger(__name__)

UNREADABLE_BODY = Body("", "text", None)
"""Shown in place of an entry that does not open, so that `seq` stays dense for its readers."""


class Reader:
    """Reads the log."""

    def __init__(self, store: RoomLogStore, keys: RoomKeys) -> None:
        self._store = store
        self._keys = keys

    async def heads(self, room_ids: Sequence[str]) -> dict[str, int]:
        """Return the committed head of each room, 0 for one without entries."""
        known = await self._store.heads(room_ids) if room_ids else {}
        return {room_id: known.get(room_id, 0) for room_id in room_ids}

    async def after(self, room_id: str, seq: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Return up to `limit` messages that follow `seq`, and a head that is not below them."""
        entries = await self._store.after(room_id, seq, limit)
        head = (await self.heads([room_id]))[room_id]
        return await self._views(room_id, entries), head

    async def before(
        self, room_id: str, seq: int | None, limit: int, skip: int = 0
    ) -> tuple[list[dict[str, Any]], int]:
        """Return the `limit` messages before `seq` or the newest, and the head."""
        entries = await self._store.before(room_id, seq, limit, skip)
        head = (await self.heads([room_id]))[room_id]
        return await self._views(room_id, entries), head

    async def frames_after(self, room_id: str, seq: int, limit: int) -> list[tuple[int, str]]:
        """Return what follows `seq` as the frames that were or will be published."""
        views = await self._views(room_id, await self._store.after(room_id, seq, limit))
        return [(view["seq"], frame_of(view)) for view in views]

    async def unpublished(self, flagged: Document) -> tuple[list[Committed], bool]:
        """Return what the flag of an entry stands for, and whether all of that is there.

        Raises:
            DecryptionFailed: the key of the room does not open.
            PyMongoError: MongoDB is away.
        """
        room_id, more = str(flagged["roomId"]), flagged.get("more", 0)
        entries = await self._store.after(room_id, flagged["seq"] - 1, more + 1) if more else [flagged]
        views = await self._views(room_id, entries)
        committed = [
            Committed(placed_of(entry), room_id, view["senderId"], frame_of(view), has_flag=not number)
            for number, (entry, view) in enumerate(zip(entries, views, strict=True))
        ]
        return committed, len(committed) > more

    async def _views(self, room_id: str, entries: Sequence[Document]) -> list[dict[str, Any]]:
        if not entries:
            return []
        key = await self._keys.for_reading(room_id)
        views = []
        for entry in entries:
            sender_id = str(entry["senderId"])
            body = UNREADABLE_BODY
            try:
                if key is not None:
                    body = key.open(room_id, entry["_id"], sender_id, entry["cipher"])
            except DecryptionFailed:
                UNREADABLE.inc()
                log.error("entry does not open", room_id=room_id, seq=entry["seq"])
            message_key = MessageKey(sender_id, entry["clientMessageId"])
            views.append(message_view(room_id, message_key, body, placed_of(entry)))
        return views
