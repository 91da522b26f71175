"""What only shows when two things happen at once."""

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
from chat_auth.domain.accounts import User
from chat_auth.hashing import PasswordHasher, Verdict
from chat_auth.service.password_check import LOGIN_ACCOUNT, LOGIN_ADDRESS, PasswordCheck
from chat_shared.contracts.base import utc_now
from chat_shared.errors import RateLimited
from chat_shared.rate_limits import RateLimiter
from chat_shared.redis import connect_redis

if TYPE_CHECKING:
    from chat_local.stack import Stack


class HeldHasher(PasswordHasher):
    """Says when it began, and answers when it is let go."""

    def __init__(self) -> None:
        self.began, self.let_go = asyncio.Event(), asyncio.Event()

    async def verify(self, password: str, stored: str | None) -> Verdict:
        self.began.set()
        await self.let_go.wait()
        return Verdict(matches=True)


@pytest.mark.parametrize("exhausted", [LOGIN_ACCOUNT, LOGIN_ADDRESS])
async def test_right_guess_among_many_at_once_is_refused_too(stack: "Stack", exhausted: str) -> None:
    redis, hasher = connect_redis(stack.redis_url), HeldHasher()
    limiter = RateLimiter(redis, {LOGIN_ACCOUNT: "5/15 minutes", LOGIN_ADDRESS: "5/15 minutes"})
    user = User("0" * 24, "ada", "ada@example.org", "hash", utc_now())
    keys = {LOGIN_ACCOUNT: secrets.token_hex(8), LOGIN_ADDRESS: secrets.token_hex(8)}
    guess = asyncio.create_task(
        PasswordCheck(hasher, limiter).check(
            user, "right", account=keys[LOGIN_ACCOUNT], address=keys[LOGIN_ADDRESS]
        )
    )
    await hasher.began.wait()
    for _ in range(5):
        await limiter.hit(exhausted, keys[exhausted])
    hasher.let_go.set()
    with pytest.raises(RateLimited):
        await guess
    await redis.aclose()
