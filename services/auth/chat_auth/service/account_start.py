"""Making an account: the same way for who registers and for an operator."""

from dataclasses import dataclass

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import UserRegistered
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.domain.accounts import User
from chat_auth.hashing import PasswordHasher
from chat_auth.store import UserStore


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is made of; username and email are valid and in normal form."""

    username: str
    email: str
    password: str
    firstname: str
    lastname: str
    avatar_url: str | None = None


class AccountStart:
    """Makes accounts; the other services learn of them by an event."""

    def __init__(self, mongo: Mongo, users: UserStore, outbox: Outbox, hasher: PasswordHasher) -> None:
        self._mongo = mongo
        self._users = users
        self._outbox = outbox
        self._hasher = hasher

    async def prepare(self, account: NewAccount) -> User:
        """Return the account as it will be stored, with its password hashed.

        Raises:
            HashingBusy: too many passwords wait to be hashed.
        """
        return User(
            id=str(ObjectId()),
            username=account.username,
            email=account.email,
            password_hash=await self._hasher.hash(account.password),
            created_at=utc_now(),
            firstname=account.firstname,
            lastname=account.lastname,
            avatar_url=account.avatar_url,
        )

    async def store(self, user: User) -> None:
        """Store a prepared account.

        Raises:
            AccountTaken: when the username or the email address is in use; nothing was stored.
        """

        async def work(transaction: AsyncClientSession) -> None:
            await self._users.add(transaction, user)
            await self._outbox.add(transaction, UserRegistered(user_id=user.id, username=user.username))

        await self._mongo.transaction(work)
        self._outbox.flush()
