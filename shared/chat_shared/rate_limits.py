"""Rate limits that all processes of a service share through Redis.

While Redis is away each process counts for itself: limits still apply, so that a guesser gains at most one
allowance per process, and nobody is locked out because a dependency is gone.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

from limits import RateLimitItem, WindowStats, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from pydantic import AfterValidator
from redis.exceptions import RedisError

from chat_shared.errors import RateLimited
from chat_shared.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

REDIS_PAUSE_SECONDS = 2.0
MAX_LOCAL_KEYS = 100_000
IPV6_SITE_PREFIX = 64

ResultT = TypeVar("ResultT")


def _check_rate(text: str) -> str:
    parse(text)
    return text


#: A rate in a setting, such as `5/15 minutes` or `20/hour`.
RateText = Annotated[str, AfterValidator(_check_rate)]


def address_key(host: str) -> str:
    """Return what to count one network address under: an IPv6 customer has a whole /64 to call from."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, IPV6_SITE_PREFIX), strict=False))
    return host


class Windows(Protocol):
    """Moving windows: what was counted within the last period of a rate."""

    async def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count, unless that goes over the rate; tell whether it was counted."""

    async def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Tell whether a hit would be counted."""

    async def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the oldest hit leaves the window, in Unix seconds, and what is left until then."""

    async def clear(self, item: RateLimitItem, *identifiers: str) -> None:
        """Forget what was counted."""


class RateLimiter:
    """Named rates, each counted per key (an account, an address)."""

    def __init__(self, redis: "Redis", rates: Mapping[str, str]) -> None:
        """`rates`: name -> rate, in the notation of `RateText`."""
        storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix="rate",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]
        )
        self._rates = {name: parse(rate) for name, rate in rates.items()}
        self._shared: Windows = MovingWindowRateLimiter(storage)
        self._local: Windows = LocalWindows(MAX_LOCAL_KEYS)
        self._redis_again_at = 0.0

    async def hit(self, name: str, key: str, *, cost: int = 1) -> None:
        """Count one event.

        Raises:
            RateLimited: when the rate is used up; the event is not counted then.
        """
        item, digest = self._rates[name], _digest(key)
        if not await self._ask(lambda windows: windows.hit(item, name, digest, cost=cost)):
            raise await self._limited(name, key)

    async def require(self, name: str, key: str) -> None:
        """Return when another event would be allowed, without counting one.

        Raises:
            RateLimited: when the rate is used up.
        """
        item, digest = self._rates[name], _digest(key)
        if not await self._ask(lambda windows: windows.test(item, name, digest)):
            raise await self._limited(name, key)

    async def clear(self, name: str, key: str) -> None:
        """Forget what was counted for `key`."""
        item, digest = self._rates[name], _digest(key)
        await self._ask(lambda windows: windows.clear(item, name, digest))

    async def _limited(self, name: str, key: str) -> RateLimited:
        item, digest = self._rates[name], _digest(key)
        stats = await self._ask(lambda windows: windows.get_window_stats(item, name, digest))
        return RateLimited(max(1, math.ceil(stats.reset_time - time.time())))

    async def _ask(self, question: Callable[[Windows], Awaitable[ResultT]]) -> ResultT:
        """Ask Redis; while it is away, and for a moment after it failed, the counts of this process."""
        if time.monotonic() >= self._redis_again_at:
            try:
                return await question(self._shared)
            except (RedisError, OSError, TimeoutError) as error:
                self._redis_again_at = time.monotonic() + REDIS_PAUSE_SECONDS
                log.warning("rate limits count per process while redis is away", error=repr(error))
        return await question(self._local)


def _digest(key: str) -> str:
    """Return a short stand-in for a key, so that Redis holds no names or addresses."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


class LocalWindows:
    """Moving windows in memory, for one process.

    The memory storage of `limits` walks over all keys at each hit, which would turn an outage of Redis into
    one of the service; this one touches a single key and forgets the longest unused one when it is full.
    """

    def __init__(self, max_keys: int) -> None:
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()
        self._max_keys = max_keys

    async def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Count, unless that goes over the rate; tell whether it was counted."""
        hits = self._recent(item, *identifiers)
        if len(hits) + cost > item.amount:
            return False
        hits.extend([time.time()] * cost)
        self._hits[item.key_for(*identifiers)] = hits
        self._hits.move_to_end(item.key_for(*identifiers))
        if len(self._hits) > self._max_keys:
            self._hits.popitem(last=False)
        return True

    async def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Tell whether a hit would be counted."""
        return len(self._recent(item, *identifiers)) + cost <= item.amount

    async def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the oldest hit leaves the window, in Unix seconds, and what is left until then."""
        hits = self._recent(item, *identifiers)
        oldest = hits[0] if hits else time.time()
        return WindowStats(oldest + item.get_expiry(), item.amount - len(hits))

    async def clear(self, item: RateLimitItem, *identifiers: str) -> None:
        """Forget what was counted."""
        self._hits.pop(item.key_for(*identifiers), None)

    def _recent(self, item: RateLimitItem, *identifiers: str) -> deque[float]:
        hits = self._hits.get(item.key_for(*identifiers), deque())
        start = time.time() - item.get_expiry()
        while hits and hits[0] <= start:
            hits.popleft()
        return hits
