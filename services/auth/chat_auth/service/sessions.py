"""Logging in, refreshing, listing and ending sessions."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import DecryptionFailed, MasterKeys, Sealed
from chat_shared.errors import Unauthenticated
from chat_shared.logging import get_logger
from chat_shared.mongo import Mongo
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.audit import audit
from chat_auth.domain.accounts import User, lookup_key
from chat_auth.domain.sessions import (
    Lifetimes,
    RefreshToken,
    Session,
    digest_of,
    first_token,
    new_family_secret,
    successor_of,
)
from chat_auth.errors import InvalidRefreshToken, SessionNotFound, WrongCredentials
from chat_auth.service.password_check import PasswordCheck
from chat_auth.service.session_end import SessionEnd
from chat_auth.service.tokens import TokenIssuer, TokenPair
from chat_auth.store import SessionStore, UserStore

log = get_logger(__name__)

MAX_USER_AGENT = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request comes from."""

    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Login:
    """What somebody logs in with: a username, an email address, or both."""

    username: str | None
    email: str | None
    password: str

    @property
    def account_key(self) -> str:
        """What to count wrong passwords under when there is no such account."""
        return lookup_key(f"{self.username or ''} {self.email or ''}")


class Sessions:
    """The use cases around sessions."""

    def __init__(
        self,
        mongo: Mongo,
        users: UserStore,
        sessions: SessionStore,
        passwords: PasswordCheck,
        issuer: TokenIssuer,
        session_end: SessionEnd,
        master_keys: MasterKeys,
        lifetimes: Lifetimes,
    ) -> None:
        self._mongo = mongo
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._issuer = issuer
        self._session_end = session_end
        self._master_keys = master_keys
        self._lifetimes = lifetimes

    async def log_in(self, login: Login, caller: Caller) -> tuple[User, TokenPair]:
        """Begin a session.

        Raises:
            WrongCredentials: when there is no such account, or the password is wrong.
            RateLimited: after too many wrong passwords for this account or from this address.
            HashingBusy: when too many are logging in.
        """
        user = await self._users.find_by_name(username=login.username, email=login.email)
        account = user.id if user else login.account_key
        try:
            password_hash = await self._passwords.check(
                user, login.password, account=account, address=caller.address
            )
        except WrongCredentials:
            audit("login_failed", user_id=user.id if user else "", address=caller.address)
            raise
        if user is None:
            raise WrongCredentials
        session, token = self._new_session(user, caller)
        await self._store_new(user, password_hash, session, token)
        audit("login", user_id=user.id, session_id=session.id, address=caller.address)
        return user, self._issuer.issue(session, token, session.expires_at)

    def _new_session(self, user: User, caller: Caller) -> tuple[Session, str]:
        now = utc_now()
        session = Session(
            id=str(ObjectId()),
            user_id=user.id,
            created_at=now,
            last_used_at=now,
            expires_at=self._lifetimes.session_end(now, now),
            user_agent=caller.user_agent[:MAX_USER_AGENT],
            address=caller.address,
        )
        return session, first_token()

    async def _store_new(self, user: User, password_hash: str, session: Session, token: str) -> None:
        """Store a session in one step with proof that the password was not changed since its check."""
        secret = self._master_keys.wrap(new_family_secret(), _place(session.id))
        row = RefreshToken(digest_of(token), session.id, session.user_id, session.expires_at)

        async def work(transaction: AsyncClientSession) -> None:
            if not await self._users.replace_password_hash(
                transaction, user.id, verified=user.password_hash, replacement=password_hash
            ):
                raise WrongCredentials
            await self._sessions.add(transaction, session, secret)
            await self._sessions.add_token(row, transaction)

        await self._mongo.transaction(work)

    async def refresh(self, token: str) -> TokenPair:
        """Exchange a refresh token for its one successor and a fresh access token.

        Safe to repeat and to call in parallel, on any process: within the grace period every call with
        the same token gives the same successor.

        Raises:
            InvalidRefreshToken: when the token is unknown or expired, its session has ended, or it was
                used before; the latter ends the session.
        """
        now = utc_now()
        stored = await self._sessions.find_token(digest_of(token), now)
        found = await self._sessions.find_live(stored.session_id, now) if stored else None
        if stored is None or found is None:
            raise InvalidRefreshToken
        session, sealed_secret = found
        expires_at = self._lifetimes.session_end(session.created_at, now)
        successor = successor_of(token, self._family_secret(session.id, sealed_secret))
        next_row = replace(stored, digest=digest_of(successor), expires_at=expires_at, used_at=None)
        # In this order a crash in between costs nothing: the next call derives and finds the same row.
        await self._sessions.add_token(next_row)
        used = await self._sessions.mark_used(stored.digest, now)
        if used is None:
            raise InvalidRefreshToken
        if used.used_at != now:
            await self._refuse_reuse(used, next_row)
        if not await self._sessions.prolong(session.id, now, expires_at):
            raise InvalidRefreshToken
        return self._issuer.issue(session, successor, expires_at)

    async def _refuse_reuse(self, used: RefreshToken, successor: RefreshToken) -> None:
        now = utc_now()
        next_token = await self._sessions.find_token(successor.digest, now)
        successor_used = next_token is not None and next_token.used_at is not None
        if used.is_reuse(now, successor_used=successor_used):
            audit("refresh_token_reused", user_id=used.user_id, session_id=used.session_id)
            await self._session_end.end(used.user_id, [used.session_id], "refresh_reuse")
            raise InvalidRefreshToken

    def _family_secret(self, session_id: str, sealed: Sealed) -> bytes:
        try:
            return self._master_keys.unwrap(sealed, _place(session_id))
        except DecryptionFailed as error:
            log.warning("a session cannot be refreshed any more", reason=str(error))
            raise InvalidRefreshToken from error

    async def log_out(self, user_id: str, session_id: str) -> None:
        """End one's own session; one that has ended already is fine."""
        await self._session_end.end(user_id, [session_id], "logout")

    async def log_out_by_token(self, token: str) -> None:
        """End the session of a refresh token: the way out for a client whose access token is over.

        Raises:
            Unauthenticated: when the token is unknown or expired.
        """
        stored = await self._sessions.find_token(digest_of(token), utc_now())
        if stored is None:
            raise Unauthenticated
        await self.log_out(stored.user_id, stored.session_id)

    async def list_own(self, user_id: str) -> list[Session]:
        """Return the live sessions of a user, the last used one first."""
        return await self._sessions.list_live(user_id, utc_now())

    async def revoke(self, user_id: str, session_id: str) -> None:
        """End one of a user's sessions, such as that of a lost phone.

        Raises:
            SessionNotFound: when the user has no such session.
        """
        if not await self._session_end.end(user_id, [session_id], "revoked"):
            raise SessionNotFound

    async def ended_among(self, session_ids: Iterable[str]) -> list[str]:
        """Return those of these sessions that have ended or never were."""
        asked = list(session_ids)
        live = await self._sessions.live_among(asked, utc_now())
        return [session_id for session_id in asked if session_id not in live]


def _place(session_id: str) -> bytes:
    return b"session:" + session_id.encode()
