"""Collection `log_meta`: what is true of the log as a whole."""

import time

import pymongo
from chat_shared.contracts.internal import FIRST_EPOCH
from chat_shared.mongo import Mongo

READ_LIMIT_SECONDS = 2.0
EPOCH = "epoch"


class LogMetaStore:
    """Reads and raises the epoch of the log."""

    def __init__(self, mongo: Mongo) -> None:
        self._meta = mongo.collection("log_meta")

    async def epoch(self) -> int:
        """Return the incarnation of the log."""
        with pymongo.timeout(READ_LIMIT_SECONDS):
            document = await self._meta.find_one({"_id": EPOCH})
        return document["value"] if document else FIRST_EPOCH

    async def raise_epoch(self) -> int:
        """Begin a new epoch and return it.

        A restored backup brings its own old epoch along, which may have been followed by others since. The
        time of day is above all of them; the old value only counts where the clock was put back.
        """
        later = {"$add": [{"$ifNull": ["$value", FIRST_EPOCH]}, 1]}
        await self._meta.update_one(
            {"_id": EPOCH}, [{"$set": {"value": {"$max": [later, int(time.time())]}}}], upsert=True
        )
        return await self.epoch()
