"""The connection to Redis or Valkey, with explicit timeouts: nobody waits for it longer than a second."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_SECONDS = 1.0


class RedisConnection:
    """A pool of connections for short commands, as a part that starts and stops with its service."""

    def __init__(self, url: str) -> None:
        self.client = connect_redis(url)

    async def start(self) -> None:
        """Connections are made when they are needed."""

    async def stop(self) -> None:
        """Close every connection."""
        await self.client.aclose()

    async def check(self) -> None:
        """Raise unless Redis answers."""
        await self.client.ping()


def connect_redis(url: str, *, max_connections: int = 50) -> "Redis":
    """Return a client for short commands: each fails within a second and is never repeated by the driver."""
    return Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        max_connections=max_connections,
        decode_responses=False,
    )


def connect_redis_subscriber(url: str) -> "Redis":
    """Return a client for one pub/sub connection: it may be silent for long, its owner pings it."""
    return Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        max_connections=2,
        decode_responses=False,
    )
