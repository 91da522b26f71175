"""Removes what no user can see any more: deleted files, and uploads that were never finished."""

import asyncio
from contextlib import suppress

from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from chat_shared.mongo import Mongo
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_media.domain.files import MediaFile
from chat_media.service.content import ContentStores
from chat_media.store import FileStore, Usage

log = get_logger(__name__)


class Sweeper:
    """Background work of one process; several share it, one file at a time.

    Content goes before the record that leads to it, so a crash in between only repeats the removal.
    """

    def __init__(
        self, mongo: Mongo, files: FileStore, usage: Usage, stores: ContentStores, pause: float
    ) -> None:
        """`pause`: seconds between two looks for leftovers."""
        self._mongo = mongo
        self._files = files
        self._usage = usage
        self._stores = stores
        self._pause = pause
        self._woken = asyncio.Event()
        self._tasks = TaskSet()

    def wake(self) -> None:
        """Look soon; returns at once."""
        self._woken.set()

    async def start(self) -> None:
        """Begin to look."""
        self._tasks.spawn(run_forever(self._step, name="sweeper", pause=0.1), name="sweeper")

    async def stop(self) -> None:
        """Stop where it is; another process or the next start goes on."""
        await self._tasks.cancel()

    async def _step(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._pause)
        self._woken.clear()
        await self._mongo.wait_prepared()
        while file := await self._files.claim_leftover(self._stores.names):
            await self._remove(file)

    async def _remove(self, file: MediaFile) -> None:
        """Remove one file; where that fails it is tried again when the lease of the claim is over."""
        try:
            await self._stores.holding(file).delete(file.store_key)
        except Exception as error:
            log.warning("content could not be removed", media_id=file.id, error=repr(error)[:200])
            return

        async def work(transaction: AsyncClientSession) -> None:
            if await self._files.remove(transaction, file.id):
                await self._usage.subtract(transaction, file.owner_id, file.size)

        await self._mongo.transaction(work)
