"""What operators do with the accounts of others: `chat user`."""

from collections.abc import Sequence

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.mongo import Mongo
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.audit import audit
from chat_auth.domain.accounts import User
from chat_auth.domain.passwords import check_new_password
from chat_auth.errors import AccountChanged, AmbiguousName, UserNotFound
from chat_auth.hashing import PasswordHasher
from chat_auth.service.account_end import AccountEnd
from chat_auth.service.account_start import AccountStart, NewAccount
from chat_auth.service.session_end import Reason, SessionEnd
from chat_auth.store import SessionStore, UserStore

OPERATOR = "operator"


class Administration:
    """The use cases of operators. None asks for the account's password: the service token is the right."""

    def __init__(
        self,
        mongo: Mongo,
        users: UserStore,
        sessions: SessionStore,
        hasher: PasswordHasher,
        session_end: SessionEnd,
        account_start: AccountStart,
        account_end: AccountEnd,
    ) -> None:
        self._mongo = mongo
        self._users = users
        self._sessions = sessions
        self._hasher = hasher
        self._session_end = session_end
        self._account_start = account_start
        self._account_end = account_end

    async def create(self, account: NewAccount) -> User:
        """Make an account; how many have registered is not counted.

        Raises:
            WeakPassword: when the password is not good enough.
            AccountTaken: when the username or the email address is in use.
            HashingBusy: nothing was stored.
        """
        check_new_password(account.password, account.username, account.email)
        user = await self._account_start.prepare(account)
        await self._account_start.store(user)
        audit("registered", user_id=user.id, by=OPERATOR)
        return user

    async def find(self, name: str) -> tuple[User, int]:
        """Return the account with this username, email address or id, and how many live sessions it has.

        Raises:
            UserNotFound: when there is no such account.
            AmbiguousName: when it is the id of one account and the username, freely chosen, of another.
        """
        named = await self._named(name)
        owner = await self._users.find(name) if ObjectId.is_valid(name) else None
        if owner and named and owner.id != named.id:
            raise AmbiguousName(
                f"{name} is the id of {owner.username} ({owner.email}), and the username of the account "
                f"{named.id} ({named.email}); give the email address"
            )
        user = owner or named
        if user is None:
            raise UserNotFound
        return user, await self._sessions.count_live(user.id, utc_now())

    async def page(self, after: str | None, limit: int) -> Sequence[User]:
        """Return accounts in the order in which they were made, those after the id `after`."""
        return await self._users.page(after, limit)

    async def sign_out(self, user_id: str) -> int:
        """End all sessions of a user and return how many were alive.

        Raises:
            UserNotFound: when there is no such account.
        """
        user = await self._require(user_id)
        ended = await self._mongo.transaction(lambda transaction: self._end_all(transaction, user, "revoked"))
        await self._session_end.announce(user.id, ended, "revoked")
        audit("signed_out", user_id=user.id, by=OPERATOR)
        return len(ended)

    async def set_password(self, user_id: str, new: str) -> int:
        """Give an account a new password, end all its sessions and return how many were alive.

        Raises:
            UserNotFound: when there is no such account.
            WeakPassword: when `new` is not good enough.
            AccountChanged: when the password changed at the same moment; nothing was done.
        """
        user = await self._require(user_id)
        check_new_password(new, user.username, user.email, field="newPassword")
        new_hash = await self._hasher.hash(new)

        async def work(transaction: AsyncClientSession) -> list[str]:
            if not await self._users.replace_password_hash(
                transaction, user.id, verified=user.password_hash, replacement=new_hash
            ):
                raise AccountChanged
            return await self._end_all(transaction, user, "password_changed")

        ended = await self._mongo.transaction(work)
        await self._session_end.announce(user.id, ended, "password_changed")
        audit("password_changed", user_id=user.id, by=OPERATOR)
        return len(ended)

    async def delete(self, user_id: str) -> None:
        """Delete an account with all its sessions; the other services delete what they hold.

        Raises:
            UserNotFound: when there is no such account.
            AccountChanged: when its password changed at the same moment; nothing was done.
        """
        user = await self._require(user_id)
        if not await self._account_end.end(user):
            raise AccountChanged
        audit("account_deleted", user_id=user.id, by=OPERATOR)

    async def _named(self, name: str) -> User | None:
        """Return the account with this email address or username; imported usernames may have an @."""
        by_email = await self._users.find_by_name(email=name, username=None) if "@" in name else None
        return by_email or await self._users.find_by_name(email=None, username=name)

    async def _require(self, user_id: str) -> User:
        user = await self._users.find(user_id)
        if user is None:
            raise UserNotFound
        return user

    async def _end_all(self, transaction: AsyncClientSession, user: User, reason: Reason) -> list[str]:
        session_ids = await self._sessions.ids_of(transaction, user.id)
        return await self._session_end.end_within(transaction, user.id, session_ids, reason)
