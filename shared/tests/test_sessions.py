"""Ended sessions are refused, whoever else is asked about in the same call, and whatever is away."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from chat_shared.contracts.internal import SessionsCheck, SessionsChecked
from chat_shared.errors import Unauthenticated, Unavailable
from chat_shared.sessions import SessionGuard, revocation_key
from redis.exceptions import ConnectionError as RedisConnectionError

CROWD = [f"session-{number}" for number in range(1_000)]


class Stores:
    """Redis and auth as the guard knows them."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.redis_calls = 0
        self.auth_calls = 0
        self.redis_is_away = self.auth_is_away = False
        self.answering = asyncio.Event()
        self.answering.set()

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        self.redis_calls += 1
        if self.redis_is_away:
            raise RedisConnectionError
        ended = {revocation_key(session_id) for session_id in self.ended}
        await self.answering.wait()
        return [b"1" if key in ended else None for key in keys]

    async def post(self, _path: str, question: SessionsCheck, *_: Any, **__: Any) -> SessionsChecked:
        self.auth_calls += 1
        if self.auth_is_away:
            raise Unavailable
        return SessionsChecked(ended=[each for each in question.session_ids if each in self.ended])


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
def guard(stores: Stores) -> SessionGuard:
    return SessionGuard(stores, stores)  # type: ignore[arg-type]


async def refused(guard: SessionGuard, session_ids: Sequence[str]) -> set[str]:
    outcomes = await asyncio.gather(*map(guard.require_live, session_ids), return_exceptions=True)
    for outcome in outcomes:
        assert outcome is None or isinstance(outcome, Unauthenticated)
    return {session_id for session_id, outcome in zip(session_ids, outcomes, strict=True) if outcome}


async def test_a_crowd_is_one_call_to_redis_and_none_to_auth(stores: Stores, guard: SessionGuard) -> None:
    stores.ended = {CROWD[3], CROWD[997]}
    assert await refused(guard, CROWD) == stores.ended
    assert (stores.redis_calls, stores.auth_calls) == (1, 0)


async def test_a_crowd_is_one_call_to_auth_while_redis_is_away(stores: Stores, guard: SessionGuard) -> None:
    stores.redis_is_away = True
    stores.ended = {CROWD[3], CROWD[997]}
    assert await refused(guard, CROWD) == stores.ended
    assert stores.auth_calls == 1
    assert await refused(guard, CROWD) == stores.ended
    assert stores.auth_calls == 2, "only who is refused is asked about again at once"


async def test_tokens_are_believed_while_both_are_away(stores: Stores, guard: SessionGuard) -> None:
    stores.redis_is_away = stores.auth_is_away = True
    stores.ended = {CROWD[3]}
    assert await refused(guard, CROWD) == set()
    stores.auth_is_away = False
    assert await refused(guard, CROWD) == stores.ended, "what nobody answered is not remembered"


async def test_who_asks_after_the_end_is_refused_whatever_call_is_under_way(
    stores: Stores, guard: SessionGuard
) -> None:
    stores.answering.clear()
    before = asyncio.create_task(guard.require_live(CROWD[0]))
    for _ in range(5):
        await asyncio.sleep(0)
    stores.ended.add(CROWD[0])
    after = asyncio.create_task(refused(guard, [CROWD[0]]))
    await asyncio.sleep(0)
    stores.answering.set()
    await before
    assert await after == {CROWD[0]}
