"""Which sessions have ended before their access tokens did."""

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from chat_shared.contracts.internal import SessionsCheck, SessionsChecked
from chat_shared.errors import ChatError, Unauthenticated
from chat_shared.http import ServiceClient
from chat_shared.logging import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

CACHE_SECONDS = 30
MAX_CACHED = 50_000


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

    async def require_live(self, session_id: str) -> None:
        """Return when the session is alive as far as can be known.

        Raises:
            Unauthenticated: when it has ended.
        """
        try:
            ended = bool(await self._redis.exists(revocation_key(session_id)))
        except (RedisError, OSError, TimeoutError):
            ended = await self._ended_says_auth(session_id)
        if ended:
            raise Unauthenticated

    async def _ended_says_auth(self, session_id: str) -> bool:
        if self._checked.get(session_id, 0) > time.monotonic():
            return False
        question = SessionsCheck(session_ids=[session_id])
        try:
            answer = await self._auth.post(
                "/internal/v1/sessions/check", question, SessionsChecked, timeout=2, only_reads=True
            )
        except ChatError as error:
            log.warning("session state unknown, token believed", error=error.code)
            return False
        if session_id in answer.ended:
            return True
        if len(self._checked) >= MAX_CACHED:
            self._checked.clear()
        self._checked[session_id] = time.monotonic() + CACHE_SECONDS
        return False
