"""Deleting an account: the same way for its owner and for an operator."""

from chat_shared.contracts.events import UserDeleted
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.domain.accounts import User
from chat_auth.service.session_end import SessionEnd
from chat_auth.store import SessionStore, UserStore


class AccountEnd:
    """Deletes an account with all its sessions; the other services delete what they hold."""

    def __init__(
        self, mongo: Mongo, users: UserStore, sessions: SessionStore, outbox: Outbox, session_end: SessionEnd
    ) -> None:
        self._mongo = mongo
        self._users = users
        self._sessions = sessions
        self._outbox = outbox
        self._session_end = session_end

    async def end(self, user: User) -> bool:
        """Delete the account as it was read; False, with nothing done, when it has another password now."""

        async def work(transaction: AsyncClientSession) -> list[str] | None:
            if not await self._users.remove(transaction, user.id, verified=user.password_hash):
                return None
            session_ids = await self._sessions.ids_of(transaction, user.id)
            ended = await self._session_end.end_within(transaction, user.id, session_ids, "account_deleted")
            await self._outbox.add(transaction, UserDeleted(user_id=user.id))
            return ended

        ended = await self._mongo.transaction(work)
        if ended is None:
            return False
        await self._session_end.announce(user.id, ended, "account_deleted")
        return True
