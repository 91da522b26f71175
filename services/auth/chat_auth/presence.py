"""Who is online, as the gateways keep it in Redis."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chat_shared.logging import get_logger
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

#: Sorted set: gateway id -> Unix second until which its lease runs.
GATEWAYS_KEY = "presence:gateways"


def user_key(user_id: str) -> str:
    """Return the key of the hash gateway id -> number of the user's connections there."""
    return f"presence:user:{user_id}"


class Presence:
    """Reads who is online; writes nothing."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def online_among(self, user_ids: Sequence[str]) -> set[str]:
        """Return those users who have a connection at a living gateway; none while Redis is away."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zrangebyscore(GATEWAYS_KEY, f"({time.time()}", "+inf")
        for user_id in user_ids:
            pipeline.hgetall(user_key(user_id))
        try:
            gateways, *counts = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("presence is not known while redis is away", error=repr(error))
            return set()
        living = set(gateways)
        return {
            user_id
            for user_id, connections in zip(user_ids, counts, strict=True)
            if any(int(count) > 0 for gateway, count in connections.items() if gateway in living)
        }
