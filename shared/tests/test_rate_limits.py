"""Rate limits: one count for all processes, and what goes on without Redis."""

import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from chat_shared.errors import RateLimited
from chat_shared.rate_limits import LocalWindows, RateLimiter, address_key
from chat_shared.redis import connect_redis
from limits import parse

if TYPE_CHECKING:
    from chat_local.stack import Stack

RATES = {"guess": "3/15 minutes", "other": "1/hour"}
AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["redis", "no redis"])
async def limiters(stack: "Stack", request: pytest.FixtureRequest) -> AsyncIterator[list[RateLimiter]]:
    """Two views of the same counts: of two processes, or of one while Redis is away."""
    clients = [connect_redis(stack.redis_url if request.param == "redis" else AWAY) for _ in range(2)]
    limiters = [RateLimiter(client, RATES) for client in clients]
    yield limiters if request.param == "redis" else limiters[:1] * 2
    for client in clients:
        await client.aclose()


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


async def test_the_fourth_of_three_is_refused(limiters: list[RateLimiter], key: str) -> None:
    for number in range(3):
        await limiters[number % 2].require("guess", key)
        await limiters[number % 2].hit("guess", key)
    for limiter in limiters:
        with pytest.raises(RateLimited) as refusal:
            await limiter.hit("guess", key)
        assert refusal.value.retry_after in range(890, 901)
        with pytest.raises(RateLimited):
            await limiter.require("guess", key)


async def test_keys_and_names_count_apart(limiters: list[RateLimiter], key: str) -> None:
    await limiters[0].hit("other", key)
    await limiters[1].hit("guess", key)
    await limiters[1].hit("other", key + "x")
    with pytest.raises(RateLimited):
        await limiters[1].hit("other", key)


async def test_costs_are_all_or_nothing(limiters: list[RateLimiter], key: str) -> None:
    await limiters[0].hit("guess", key, cost=2)
    with pytest.raises(RateLimited):
        await limiters[1].hit("guess", key, cost=2)
    await limiters[1].hit("guess", key)


async def test_clear_forgets(limiters: list[RateLimiter], key: str) -> None:
    await limiters[0].hit("other", key)
    await limiters[1].clear("other", key)
    await limiters[0].hit("other", key)


async def test_keys_are_not_to_be_read_in_redis(stack: "Stack") -> None:
    redis = connect_redis(stack.redis_url)
    await RateLimiter(redis, RATES).hit("guess", "hopper@example.org")
    assert not [key async for key in redis.scan_iter(match="*hopper*")]
    await redis.aclose()


async def test_local_windows_are_bounded() -> None:
    windows, item = LocalWindows(max_keys=2), parse("1/hour")
    for name in ("first", "second", "third"):
        assert await windows.hit(item, name)
    assert await windows.test(item, "first")
    assert not await windows.test(item, "third")


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_address_keys(host: str, key: str) -> None:
    assert address_key(host) == key
