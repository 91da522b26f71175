"""Collection `leases`: work that one process does at a time.

Time is MongoDB's: by the clock of a process that was ahead when it died, nobody would follow it for as long.
"""

from datetime import timedelta

from chat_shared.mongo import Mongo
from pymongo import ReturnDocument


class LeaseStore:
    """Leases by name, held by a process and taken over when they end."""

    def __init__(self, mongo: Mongo, owner: str) -> None:
        """`owner`: a name that no other process has."""
        self._leases = mongo.collection("leases")
        self._owner = owner

    async def hold(self, name: str, duration: timedelta) -> bool:
        """Take or renew a lease; tell whether it is ours for `duration` from now."""
        is_free = {"$or": [{"$eq": ["$owner", self._owner]}, {"$lt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", duration // timedelta(milliseconds=1)]}
        ours = {
            "owner": {"$cond": [is_free, self._owner, "$owner"]},
            "until": {"$cond": [is_free, until, "$until"]},
        }
        lease = await self._leases.find_one_and_update(
            {"_id": name}, [{"$set": ours}], upsert=True, return_document=ReturnDocument.AFTER
        )
        return lease is not None and lease["owner"] == self._owner

    async def release(self, name: str) -> None:
        """Give a lease up, if it is ours."""
        await self._leases.delete_one({"_id": name, "owner": self._owner})
