"""The keys of rooms in use, unwrapped and cached; made with a room's first message, gone with the room."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Iterable

from chat_shared.crypto import KEY_BYTES, DecryptionFailed, MasterKeys, Sealed
from chat_shared.logging import get_logger
from chat_shared.mongo import Document
from pymongo.errors import PyMongoError

from chat_messaging.ciphers import RoomKey
from chat_messaging.errors import RoomNotFound
from chat_messaging.store.room_keys import RoomKeyStore

log = get_logger(__name__)

MAX_CACHED = 10_000


class RoomKeys:
    """Finds, makes and destroys room keys."""

    def __init__(self, store: RoomKeyStore, master_keys: MasterKeys) -> None:
        self._store = store
        self._master_keys = master_keys
        self._cache: OrderedDict[str, RoomKey] = OrderedDict()

    async def unreadable(self, room_ids: Iterable[str]) -> set[str]:
        """Read the keys of rooms at the same time; return the rooms whose keys MongoDB does not tell."""
        missing = [room_id for room_id in room_ids if room_id not in self._cache]
        outcomes = await asyncio.gather(*map(self.for_reading, missing), return_exceptions=True)
        failures = {
            room_id: outcome
            for room_id, outcome in zip(missing, outcomes, strict=True)
            if isinstance(outcome, PyMongoError)
        }
        if failures:
            reason = repr(next(iter(failures.values())))[:200]
            log.warning("room keys not read", rooms=len(failures), error=reason)
        return set(failures)

    async def for_reading(self, room_id: str) -> RoomKey | None:
        """Return the key of a room, None when it has none (yet, or any more)."""
        if room_id not in self._cache:
            document = await self._store.find(room_id)
            if document is None or "wrapped" not in document:
                return None
            self._remember(room_id, document)
        self._cache.move_to_end(room_id)
        return self._cache[room_id]

    async def for_writing(self, room_id: str) -> RoomKey:
        """Return the key of a room; its first message makes one.

        Raises:
            RoomNotFound: the key was destroyed with the room.
        """
        key = await self.for_reading(room_id)
        if key is not None:
            return key
        wrapped = self._master_keys.wrap(os.urandom(KEY_BYTES), _place(room_id))
        document = await self._store.add(room_id, wrapped)
        if "wrapped" not in document:
            raise RoomNotFound
        return self._remember(room_id, document)

    async def opens(self) -> bool:
        """Tell whether the master keys open the key of some room, or there is none yet."""
        document = await self._store.any()
        if document is None:
            return True
        try:
            self._remember(str(document["_id"]), document)
        except DecryptionFailed:
            return False
        return True

    def _remember(self, room_id: str, document: Document) -> RoomKey:
        secret = self._master_keys.unwrap(Sealed.from_document(document["wrapped"]), _place(room_id))
        key = self._cache[room_id] = RoomKey.derive(secret)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return key

    def forget(self, room_id: str) -> None:
        """Drop a key from memory: its room is gone."""
        self._cache.pop(room_id, None)

    def forget_all(self) -> None:
        """Drop all keys from memory: some of their rooms may be gone."""
        self._cache.clear()

    async def destroy(self, room_id: str) -> None:
        """Destroy a room's key: all its messages become unreadable, in every copy and backup."""
        await self._store.destroy(room_id)
        self.forget(room_id)


def _place(room_id: str) -> bytes:
    return f"room-key|{room_id}".encode()
