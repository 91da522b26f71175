"""Which sessions have ended before their access tokens did."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from chat_shared.coalescer import Coalescer
from chat_shared.contracts.internal import SessionsCheck, SessionsChecked
from chat_shared.errors import ChatError, Unauthenticated
from chat_shared.http import ServiceClient
from chat_shared.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

CACHE_SECONDS = 30
MAX_CACHED = 50_000
CHECK_BATCH = 1_000
"""Sessions in one question: what auth takes."""


def revocation_key(session_id: str) -> str:
    """Return the Redis key that stands while tokens of an ended session could still be valid."""
    return f"session:ended:{session_id}"


class SessionGuard:
    """Refuses tokens of ended sessions.

    Redis knows them; while it is away auth is asked instead, and an answer counts for 30 seconds. With
    both away a token is believed: it is signed and lives for minutes, and refusing all would take every
    user down with two dependencies.
    """

    def __init__(self, redis: "Redis", auth: ServiceClient) -> None:
        self._redis = redis
        self._auth = auth
        self._checked: dict[str, float] = {}
        # A call for each would need a connection for each: a crowd had none left and went to auth.
        self._in_redis = Coalescer(self._ask_redis, most=CHECK_BATCH)
        self._in_auth = Coalescer(self._ask_auth, most=CHECK_BATCH)

    async def require_live(self, session_id: str) -> None:
        """Return when the session is alive as far as can be known.

        Raises:
            Unauthenticated: when it has ended.
        """
        try:
            ended = await self._in_redis.ask(session_id)
        except (RedisError, OSError, TimeoutError):
            ended = await self._ended_says_auth(session_id)
        if ended:
            raise Unauthenticated

    async def _ask_redis(self, session_ids: Sequence[str]) -> dict[str, bool]:
        marks = await self._redis.mget([revocation_key(session_id) for session_id in session_ids])
        return {session_id: mark is not None for session_id, mark in zip(session_ids, marks, strict=True)}

    async def _ended_says_auth(self, session_id: str) -> bool:
        if self._checked.get(session_id, 0) > time.monotonic():
            return False
        try:
            ended = await self._in_auth.ask(session_id)
        except ChatError as error:
            log.warning("session state unknown, token believed", error=error.code)
            return False
        if not ended:
            if len(self._checked) >= MAX_CACHED:
                self._checked.clear()
            self._checked[session_id] = time.monotonic() + CACHE_SECONDS
        return ended

    async def _ask_auth(self, session_ids: Sequence[str]) -> dict[str, bool]:
        question = SessionsCheck(session_ids=list(session_ids))
        answer = await self._auth.post(
            "/internal/v1/sessions/check", question, SessionsChecked, timeout=2, only_reads=True
        )
        ended = set(answer.ended)
        return {session_id: session_id in ended for session_id in session_ids}
