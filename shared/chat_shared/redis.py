"""The connection to Redis or Valkey, with explicit timeouts: nobody waits for it longer than a second."""

from collections.abc import Iterable

from redis.asyncio import Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

TIMEOUT_SECONDS = 1.0


class _Connection(Connection):
    """A connection that calls a closed transport what it is.

    uvloop answers a write to a transport that was closed a moment ago with a RuntimeError, which neither
    redis-py nor anybody who waits for Redis takes for a connection that is lost.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise RedisConnectionError("The connection to Redis was closed") from error


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
        connection_class=_Connection,
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
        connection_class=_Connection,
        socket_timeout=None,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        health_check_interval=0,
        max_connections=2,
        decode_responses=False,
    )
