"""Who is online, as the gateways keep it in Redis."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chat_shared.logging import get_logger
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

#: Sorted set: gateway id -> Unix second until which its lease runs.
GATEWAYS_KEY = "presence:gateways"
OPEN = b"open"


def user_key(user_id: str) -> str:
    """Return the key of the hash gateway id -> `open`, or the Unix second until which it holds the user."""
    return f"presence:user:{user_id}"


class Presence:
    """Reads who is online; writes nothing."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def online_among(self, user_ids: Sequence[str]) -> set[str]:
        """Return those users whom a living gateway holds; none while Redis is away.

        Leases and holds end by the clock of Redis, not by ours.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.zrange(GATEWAYS_KEY, 0, -1, withscores=True)
        for user_id in user_ids:
            pipeline.hgetall(user_key(user_id))
        try:
            (seconds, microseconds), leases, *holds = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("presence is not known while redis is away", error=repr(error))
            return set()
        now = seconds + microseconds / 1e6
        living = {gateway for gateway, lease in leases if lease > now}
        return {user_id for user_id, held in zip(user_ids, holds, strict=True) if _is_held(held, living, now)}


def _is_held(holds: Mapping[bytes, bytes], living: set[bytes], now: float) -> bool:
    return any(gateway in living and (hold == OPEN or float(hold) > now) for gateway, hold in holds.items())
