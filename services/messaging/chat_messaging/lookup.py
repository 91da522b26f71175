"""What became of drafts: asks a majority what it has, and answers what is found.

A duplicate key, or an insert without an answer, does not tell whether an entry is there for good.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from chat_shared.errors import OutcomeUnknown
from chat_shared.logging import get_logger
from chat_shared.mongo import Document
from pymongo.errors import PyMongoError

from chat_messaging.domain import (
    Committed,
    Draft,
    MessageKey,
    Placed,
    committed_entry,
    last_deadline,
    placed_of,
)
from chat_messaging.store.room_log import RoomLogStore

log = get_logger(__name__)

PAUSE_SECONDS = 0.25

OnFound = Callable[[MessageKey, Placed, bytes], None]
OnCommitted = Callable[[list[Committed]], None]


def refuse_unknown(drafts: Iterable[Draft]) -> None:
    """Answer: nobody knows whether they are in the log."""
    for draft in drafts:
        draft.refused(OutcomeUnknown())


class Lookup:
    """Finds drafts of one room in the log. What is returned was not found, and has to be inserted again."""

    def __init__(
        self, store: RoomLogStore, room_id: str, *, on_found: OnFound, on_committed: OnCommitted
    ) -> None:
        """`on_found` learns where a message is, with the hash of its body; `on_committed` what to publish."""
        self._store = store
        self._room_id = room_id
        self._on_found = on_found
        self._on_committed = on_committed

    async def once(self, drafts: list[Draft]) -> list[Draft]:
        """Answer what a majority has already and return the rest; while nobody can tell, all of it."""
        if not drafts:
            return []
        try:
            return await self._ask(drafts)
        except PyMongoError as error:
            log.warning("repeats not looked up", room_id=self._room_id, error=repr(error)[:200])
            return drafts

    async def until_known(self, drafts: list[Draft]) -> list[Draft]:
        """Find out at majority what became of drafts, until their senders give up.

        Returns what a majority does not have, to be inserted again: should the first insert arrive after
        all, the unique index on the client message refuses one of the two.
        """
        deadline = last_deadline(drafts)
        while True:
            try:
                return await self._ask(drafts)
            except PyMongoError as error:
                log.warning("outcome still unknown", room_id=self._room_id, error=repr(error)[:200])
            if time.monotonic() + PAUSE_SECONDS > deadline:
                refuse_unknown(drafts)
                return []
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, drafts: Sequence[Draft]) -> list[Draft]:
        found = await self._store.find_by_keys(self._room_id, [draft.key for draft in drafts])
        stored = [draft for draft in drafts if draft.key in found]
        for draft in sorted(stored, key=lambda draft: found[draft.key]["seq"]):
            self._found(draft, found[draft.key])
        return [draft for draft in drafts if draft.key not in found]

    def _found(self, draft: Draft, entry: Document) -> None:
        place = placed_of(entry)
        self._on_found(draft.key, place, entry["bodyHash"])
        if place.message_id == draft.message_id:
            draft.stored(place)
            self._on_committed([committed_entry(draft, place)])
        else:
            draft.matches(place, entry["bodyHash"])
