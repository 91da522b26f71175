"""Ending sessions: the same way for logout, revocation, reuse, a new password and a deleted account."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from chat_shared.contracts.events import SessionRevoked
from chat_shared.logging import get_logger
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.sessions import revocation_key
from chat_shared.tokens import LEEWAY_SECONDS
from pymongo.asynchronous.client_session import AsyncClientSession
from redis.exceptions import RedisError

from chat_auth.audit import audit
from chat_auth.store import SessionStore

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = get_logger(__name__)

Reason = Literal["logout", "revoked", "refresh_reuse", "password_changed", "account_deleted"]

IDS_PER_EVENT = 1000
#: A token may be signed while its session ends; the mark outlives that one too.
MARK_MARGIN_SECONDS = 30


class SessionEnd:
    """Deletes sessions, tells the other services, and marks the ids so that access tokens count no more."""

    def __init__(
        self, mongo: Mongo, sessions: SessionStore, outbox: Outbox, redis: "Redis", access_life: timedelta
    ) -> None:
        self._mongo = mongo
        self._sessions = sessions
        self._outbox = outbox
        self._redis = redis
        self._mark_seconds = int(access_life.total_seconds()) + LEEWAY_SECONDS + MARK_MARGIN_SECONDS

    async def end(self, user_id: str, session_ids: Sequence[str], reason: Reason) -> list[str]:
        """End sessions of a user and return the ids of those that were alive."""

        async def work(transaction: AsyncClientSession) -> list[str]:
            return await self.end_within(transaction, user_id, session_ids, reason)

        ended = await self._mongo.transaction(work)
        await self.announce(user_id, ended, reason)
        return ended

    async def end_within(
        self, transaction: AsyncClientSession, user_id: str, session_ids: Sequence[str], reason: Reason
    ) -> list[str]:
        """End sessions as a part of a larger change; call `announce` once it has committed."""
        ended = await self._sessions.remove(transaction, user_id, session_ids)
        for start in range(0, len(ended), IDS_PER_EVENT):
            ids = ended[start : start + IDS_PER_EVENT]
            event = SessionRevoked(user_id=user_id, session_ids=ids, reason=reason)
            await self._outbox.add(transaction, event)
        return ended

    async def announce(self, user_id: str, ended: Sequence[str], reason: Reason) -> None:
        """Make the end of sessions known at once; Redis being away delays it and fails nothing."""
        self._outbox.flush()
        if not ended:
            return
        audit("sessions_ended", user_id=user_id, reason=reason, session_ids=",".join(ended))
        pipeline = self._redis.pipeline(transaction=False)
        for session_id in ended:
            pipeline.set(revocation_key(session_id), b"1", ex=self._mark_seconds)
        try:
            await self._outbox.told()
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("ended sessions could not be marked in redis", error=repr(error))
