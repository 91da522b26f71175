"""Collection `leases`: work that one process does at a time."""

from datetime import timedelta

from chat_shared.contracts.base import utc_now
from chat_shared.mongo import Mongo
from pymongo.errors import DuplicateKeyError


class LeaseStore:
    """Leases by name, held by a process and taken over when they end."""

    def __init__(self, mongo: Mongo, owner: str) -> None:
        """`owner`: a name that no other process has."""
        self._leases = mongo.collection("leases")
        self._owner = owner

    async def hold(self, name: str, duration: timedelta) -> bool:
        """Take or renew a lease; tell whether it is ours for `duration` from now."""
        now = utc_now()
        try:
            await self._leases.update_one(
                {"_id": name, "$or": [{"owner": self._owner}, {"until": {"$lt": now}}]},
                {"$set": {"owner": self._owner, "until": now + duration}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False  # somebody else's, and not over
        return True

    async def release(self, name: str) -> None:
        """Give a lease up, if it is ours."""
        await self._leases.delete_one({"_id": name, "owner": self._owner})
