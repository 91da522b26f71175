"""Brings accounts of the Express original in: with their ids, and with password hashes that go on working.

Other services learn of them by the event that tells of any new account.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from chat_shared.bus import Bus
from chat_shared.contracts.events import UserRegistered
from chat_shared.crypto import MasterKeys
from chat_shared.importing import (
    BROUGHT,
    GONE,
    HERE,
    NeverStarted,
    Outcome,
    WrongMasterKeys,
    opened,
    refused,
    relaying,
)
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.audit import audit
from chat_auth.domain.accounts import (
    AVATAR_URL_PATTERN,
    MAX_EMAIL_LENGTH,
    MAX_NAME_LENGTH,
    MAX_URL_LENGTH,
    User,
    lookup_key,
    normalise_email,
)
from chat_auth.errors import AccountTaken, InvalidEmail
from chat_auth.service.administration import OPERATOR
from chat_auth.service.signing_keys import KeyPolicy, KeyRing
from chat_auth.settings import Settings
from chat_auth.store import ImportedUsers, SigningKeyStore, UserStore

MAX_USERNAME_LENGTH = 64
"""Longer, and with more characters, than those that are chosen here: whoever has such a name keeps it."""
ATTEMPTS = 5
"""How often somebody may register a name between our look at the names and our insert."""

_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")


@dataclass(frozen=True, slots=True)
class OldAccount:
    """An account as the original stored it; None where there is no such text."""

    id: str
    username: str | None
    email: str | None
    password_hash: str | None
    firstname: str
    lastname: str
    avatar_url: str | None
    created_at: datetime
    last_seen: datetime | None


class _Unfit(Exception):
    """An account cannot be brought; the message says why."""


class AccountImport:
    """Use `open_accounts`. Every step may be repeated: what is here stays as it is."""

    def __init__(self, mongo: Mongo, outbox: Outbox, *, dry_run: bool) -> None:
        self._mongo = mongo
        self._outbox = outbox
        self._dry_run = dry_run
        UserStore(mongo)  # makes the unique indexes
        self._users = ImportedUsers(mongo)
        self._usernames: dict[str, str] = {}
        """Lookup key -> account, of this run: two of the original may differ in case alone."""
        self._emails: dict[str, str] = {}

    async def bring(self, accounts: Sequence[OldAccount]) -> dict[str, Outcome]:
        """Store some accounts, a few hundred at most; return what became of each, by id.

        Raises:
            Unavailable, PyMongoError: MongoDB is away; nothing of this batch is stored.
        """
        for _ in range(ATTEMPTS):
            outcomes, new = await self._sort_out(accounts)
            try:
                if new and not self._dry_run:
                    await self._store(new)
            except AccountTaken:
                continue
            self._usernames |= {lookup_key(user.username): user.id for user in new}
            self._emails |= {lookup_key(user.email): user.id for user in new}
            return outcomes
        raise AccountTaken

    async def _sort_out(self, accounts: Sequence[OldAccount]) -> tuple[dict[str, Outcome], list[User]]:
        """Return the outcome of each account, and those to store."""
        here, brought = await self._users.known([account.id for account in accounts])
        outcomes = {account.id: HERE for account in accounts if account.id in here}
        outcomes |= {account.id: GONE for account in accounts if account.id in brought - here}
        users = []
        for account in accounts:
            if account.id not in outcomes:
                try:
                    users.append(_user(account))
                except _Unfit as reason:
                    outcomes[account.id] = refused(str(reason))
        new = await self._with_free_names(users, outcomes)
        return outcomes | {user.id: BROUGHT for user in new}, new

    async def _with_free_names(self, users: Sequence[User], outcomes: dict[str, Outcome]) -> list[User]:
        """Return the users whose names nobody has; add to `outcomes` what becomes of the others."""
        usernames, emails = await self._users.owners_of_names(users) if users else ({}, {})
        usernames, emails = {**self._usernames, **usernames}, {**self._emails, **emails}
        new = []
        for user in users:
            try:
                _require_free("username", user.username, usernames)
                _require_free("email", user.email, emails)
            except _Unfit as reason:
                outcomes[user.id] = refused(str(reason))
                continue
            usernames[lookup_key(user.username)] = emails[lookup_key(user.email)] = user.id
            new.append(user)
        return new

    async def _store(self, users: Sequence[User]) -> None:
        async def work(transaction: AsyncClientSession) -> None:
            await self._users.add(transaction, users)
            await self._outbox.add(
                transaction, *(UserRegistered(user_id=user.id, username=user.username) for user in users)
            )

        await self._mongo.transaction(work)
        self._outbox.flush()
        audit("accounts_imported", count=len(users), by=OPERATOR)


@asynccontextmanager
async def open_accounts(
    settings: Settings, *, dry_run: bool, publishes: bool
) -> AsyncIterator[AccountImport]:
    """Give an import into the database of these settings.

    Args:
        settings: those of auth's processes.
        dry_run: only say what would become of everything; nothing is written.
        publishes: tell of new accounts over the broker of the settings; otherwise the services do.

    Raises:
        WrongMasterKeys: the settings are not those of this database.
        NeverStarted: no process of auth has made its first key yet.
        PyMongoError: MongoDB does not answer.
    """
    mongo = Mongo(settings.mongo_url, "chat_auth")
    bus = Bus(settings.amqp_url, source="auth")
    outbox = Outbox(mongo, bus, instance="import")
    importing = AccountImport(mongo, outbox, dry_run=dry_run)
    policy = KeyPolicy(timedelta(days=1), timedelta(days=1))
    keys = KeyRing(SigningKeyStore(mongo), MasterKeys.parse(settings.master_keys.get_secret_value()), policy)
    async with opened(mongo, dry_run=dry_run):
        if not await keys.opens():
            raise NeverStarted if keys.is_empty else WrongMasterKeys
        async with relaying(bus, outbox, publishes=publishes and not dry_run):
            yield importing


def _require_free(what: str, name: str, owners: Mapping[str, str]) -> None:
    owner = owners.get(lookup_key(name))
    if owner is not None:
        raise _Unfit(f"user {owner} has its {what}, in the same or another case")


def _user(account: OldAccount) -> User:
    return User(
        id=account.id,
        username=_username(account.username),
        email=_email(account.email),
        password_hash=_password_hash(account.password_hash),
        created_at=account.created_at,
        firstname=_person_name(account.firstname),
        lastname=_person_name(account.lastname),
        avatar_url=_avatar_url(account.avatar_url),
        last_seen=account.last_seen,
    )


def _username(username: str | None) -> str:
    name = (username or "").strip()
    if not name:
        raise _Unfit("its username is missing")
    if len(name) > MAX_USERNAME_LENGTH or not name.isprintable():
        raise _Unfit(f"its username is not 1 to {MAX_USERNAME_LENGTH} printable characters")
    return name


def _email(email: str | None) -> str:
    if not email or not email.strip():
        raise _Unfit("its email is missing")
    if len(email) > MAX_EMAIL_LENGTH:
        raise _Unfit("its email is too long")
    try:
        return normalise_email(email)
    except InvalidEmail as error:
        raise _Unfit(f"its email is not valid: {error.errors[0].message}") from error


def _password_hash(password_hash: str | None) -> str:
    if password_hash is None or not _BCRYPT.fullmatch(password_hash):
        raise _Unfit("its password is not a bcrypt hash")
    return password_hash


def _person_name(name: str) -> str:
    printable = "".join(character for character in name if character.isprintable())
    return printable.strip()[:MAX_NAME_LENGTH].strip()


def _avatar_url(url: str | None) -> str | None:
    """Return an address that clients can show, or None: another one is no reason to keep somebody out."""
    is_address = url is not None and len(url) <= MAX_URL_LENGTH and re.match(AVATAR_URL_PATTERN, url)
    return url if is_address else None
