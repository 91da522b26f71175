"""Which access tokens auth itself believes."""

from chat_shared.contracts.base import utc_now
from chat_shared.errors import Unauthenticated
from chat_shared.sessions import SessionGuard

from chat_auth.store import SessionStore


class StoredSessionGuard(SessionGuard):
    """Refuses tokens of ended sessions by looking into our own store, which always knows."""

    def __init__(self, sessions: SessionStore) -> None:
        self._sessions = sessions

    async def require_live(self, session_id: str) -> None:
        """Return when the session is alive.

        Raises:
            Unauthenticated: when it has ended.
        """
        if not await self._sessions.live_among([session_id], utc_now()):
            raise Unauthenticated
