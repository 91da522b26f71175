"""Making, changing and deleting accounts."""

from dataclasses import dataclass, replace

from chat_shared.contracts.events import UserDeleted, UserUpdated
from chat_shared.errors import Unauthenticated
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.rate_limits import RateLimiter
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.audit import audit
from chat_auth.clients import AvatarClient
from chat_auth.domain.accounts import User
from chat_auth.domain.passwords import check_new_password
from chat_auth.errors import AccountTaken, WrongCredentials, WrongPassword
from chat_auth.hashing import PasswordHasher
from chat_auth.service.account_end import AccountEnd
from chat_auth.service.account_start import AccountStart, NewAccount
from chat_auth.service.password_check import PasswordCheck
from chat_auth.service.session_end import SessionEnd
from chat_auth.store import SessionStore, UserStore

REGISTER_ADDRESS = "register:address"


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What changes in a profile; None stays as it is."""

    username: str | None = None
    email: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    avatar: bytes | None = None

    def fields(self) -> dict[str, str]:
        """Return the texts that change, by the names they are stored under."""
        texts = {
            "username": self.username,
            "email": self.email,
            "firstname": self.firstname,
            "lastname": self.lastname,
        }
        return {name: text for name, text in texts.items() if text is not None}


class Accounts:
    """The use cases around accounts."""

    def __init__(
        self,
        mongo: Mongo,
        users: UserStore,
        sessions: SessionStore,
        outbox: Outbox,
        hasher: PasswordHasher,
        passwords: PasswordCheck,
        session_end: SessionEnd,
        account_start: AccountStart,
        account_end: AccountEnd,
        avatars: AvatarClient,
        limiter: RateLimiter,
    ) -> None:
        self._mongo = mongo
        self._users = users
        self._sessions = sessions
        self._outbox = outbox
        self._hasher = hasher
        self._passwords = passwords
        self._session_end = session_end
        self._account_start = account_start
        self._account_end = account_end
        self._avatars = avatars
        self._limiter = limiter

    async def register(self, account: NewAccount, avatar: bytes | None, *, address: str) -> User:
        """Make an account. The password is hashed first, so that a taken name takes as long as a free one.

        Args:
            avatar: an image as it was uploaded.
            address: where the request comes from.

        Raises:
            WeakPassword: when the password is not good enough.
            AccountTaken: when the username or the email address is in use.
            RateLimited: after too many registrations from this address.
            HashingBusy, AvatarStoreAway, RemoteError: nothing was stored.
        """
        check_new_password(account.password, account.username, account.email)
        await self._limiter.hit(REGISTER_ADDRESS, address)
        user = await self._account_start.prepare(account)
        if avatar is None:
            await self._account_start.store(user)
        else:
            user = await self._store_new_with_avatar(user, avatar)
        audit("registered", user_id=user.id, address=address)
        return user

    async def _store_new_with_avatar(self, user: User, avatar: bytes) -> User:
        """Store the avatar, then the account; where that fails, have media drop the avatar again."""
        if await self._users.is_taken(username=user.username, email=user.email, by_other_than=user.id):
            raise AccountTaken
        try:
            user = replace(user, avatar_url=await self._avatars.store(user.id, avatar))
            await self._account_start.store(user)
        except Exception:
            await self._publish_deleted(user.id)
            raise
        return user

    async def _publish_deleted(self, user_id: str) -> None:
        async def work(transaction: AsyncClientSession) -> None:
            await self._outbox.add(transaction, UserDeleted(user_id=user_id))

        await self._mongo.transaction(work)
        self._outbox.flush()

    async def own(self, user_id: str) -> User:
        """Return the account of the signed-in user.

        Raises:
            Unauthenticated: when it was deleted meanwhile.
        """
        user = await self._users.find(user_id)
        if user is None:
            raise Unauthenticated
        return user

    async def change_profile(self, user_id: str, change: ProfileChange) -> User:
        """Change one's own profile.

        Raises:
            AccountTaken: when the new username or email address is in use.
            AvatarStoreAway, RemoteError: nothing was changed.
        """
        fields = change.fields()
        if change.avatar is not None:
            if await self._users.is_taken(
                username=change.username, email=change.email, by_other_than=user_id
            ):
                raise AccountTaken
            fields["avatarUrl"] = await self._avatars.store(user_id, change.avatar)

        async def work(transaction: AsyncClientSession) -> User:
            user = await self._users.change(transaction, user_id, fields)
            if user is None:
                raise Unauthenticated
            event = UserUpdated(user_id=user.id, username=user.username, avatar_url=user.avatar_url)
            await self._outbox.add(transaction, event)
            return user

        user = await self._mongo.transaction(work)
        self._outbox.flush()
        return user

    async def change_password(
        self, user_id: str, session_id: str, *, current: str, new: str, address: str
    ) -> None:
        """Change one's own password and end all other sessions.

        Raises:
            WrongPassword: when `current` is not the password.
            WeakPassword: when `new` is not good enough.
            RateLimited: after too many wrong passwords.
        """
        user = await self.own(user_id)
        check_new_password(new, user.username, user.email, field="newPassword")
        await self._confirm(user, current, address)
        new_hash = await self._hasher.hash(new)

        async def work(transaction: AsyncClientSession) -> list[str]:
            if not await self._users.replace_password_hash(
                transaction, user.id, verified=user.password_hash, replacement=new_hash
            ):
                raise WrongPassword
            others = [id_ for id_ in await self._sessions.ids_of(transaction, user.id) if id_ != session_id]
            return await self._session_end.end_within(transaction, user.id, others, "password_changed")

        ended = await self._mongo.transaction(work)
        await self._session_end.announce(user.id, ended, "password_changed")
        audit("password_changed", user_id=user.id, address=address)

    async def delete(self, user_id: str, *, password: str, address: str) -> None:
        """Delete one's own account with all its sessions; the other services delete what they hold.

        Raises:
            WrongPassword: when `password` is not the password.
            RateLimited: after too many wrong passwords.
        """
        user = await self.own(user_id)
        await self._confirm(user, password, address)
        if not await self._account_end.end(user):
            raise WrongPassword
        audit("account_deleted", user_id=user.id, address=address)

    async def _confirm(self, user: User, password: str, address: str) -> None:
        try:
            await self._passwords.check(user, password, account=user.id, address=address)
        except WrongCredentials as error:
            audit("password_confirmation_failed", user_id=user.id, address=address)
            raise WrongPassword from error
