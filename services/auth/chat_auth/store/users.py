"""The collection `users`: accounts, unique by username and by email address without regard to case."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.mongo import Document, Mongo
from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from chat_auth.domain.accounts import User, lookup_key
from chat_auth.errors import AccountTaken

#: The unique form of a field, kept beside it.
_LOOKUP_FIELDS = {"username": "usernameKey", "email": "emailKey"}


class UserStore:
    """Accounts."""

    def __init__(self, mongo: Mongo) -> None:
        self._users = mongo.collection("users")
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        for field in _LOOKUP_FIELDS.values():
            await self._users.create_index([(field, ASCENDING)], unique=True)

    async def add(self, transaction: AsyncClientSession, user: User) -> None:
        """Store a new account.

        Raises:
            AccountTaken: when the username or the email address is in use.
        """
        try:
            await self._users.insert_one(user_document(user), session=transaction)
        except DuplicateKeyError as error:
            raise AccountTaken from error

    async def find(self, user_id: str) -> User | None:
        """Return the account with this id."""
        document = await self._users.find_one({"_id": ObjectId(user_id)})
        return _user(document) if document else None

    async def find_many(self, user_ids: Iterable[str]) -> list[User]:
        """Return the accounts that exist among these ids, in no particular order."""
        documents = self._users.find({"_id": {"$in": [ObjectId(user_id) for user_id in user_ids]}})
        return [_user(document) async for document in documents]

    async def page(self, after: str | None, limit: int) -> list[User]:
        """Return accounts in the order in which they were made, those after the id `after`."""
        query = {"_id": {"$gt": ObjectId(after)}} if after else {}
        documents = self._users.find(query).sort("_id", ASCENDING).limit(limit)
        return [_user(document) async for document in documents]

    async def find_by_name(self, *, username: str | None, email: str | None) -> User | None:
        """Return the account with this username, this email address, or both where both are given."""
        given = {"usernameKey": username, "emailKey": email}
        query = {field: lookup_key(name) for field, name in given.items() if name is not None}
        document = await self._users.find_one(query) if query else None
        return _user(document) if document else None

    async def is_taken(self, *, username: str | None, email: str | None, by_other_than: str) -> bool:
        """Tell whether another account has this username or this email address."""
        given = {"usernameKey": username, "emailKey": email}
        same = [{field: lookup_key(name)} for field, name in given.items() if name is not None]
        if not same:
            return False
        query = {"_id": {"$ne": ObjectId(by_other_than)}, "$or": same}
        return await self._users.find_one(query, projection={"_id": 1}) is not None

    async def change(
        self, transaction: AsyncClientSession, user_id: str, changes: Mapping[str, str]
    ) -> User | None:
        """Set profile fields, named as they are stored; return the changed account.

        Raises:
            AccountTaken: when the new username or email address is in use.
        """
        fields: dict[str, Any] = {**changes, "updatedAt": utc_now()}
        for field, lookup_field in _LOOKUP_FIELDS.items():
            if field in changes:
                fields[lookup_field] = lookup_key(changes[field])
        try:
            document = await self._users.find_one_and_update(
                {"_id": ObjectId(user_id)},
                {"$set": fields},
                session=transaction,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            raise AccountTaken from error
        return _user(document) if document else None

    async def replace_password_hash(
        self, transaction: AsyncClientSession, user_id: str, verified: str, replacement: str
    ) -> bool:
        """Set the password hash if `verified`, against which a password was checked, is still the one.

        Also writes when both are the same: it makes the transaction collide with a concurrent change.
        """
        outcome = await self._users.update_one(
            {"_id": ObjectId(user_id), "passwordHash": verified},
            {"$set": {"passwordHash": replacement, "passwordCheckedAt": utc_now()}},
            session=transaction,
        )
        return outcome.matched_count == 1

    async def remove(self, transaction: AsyncClientSession, user_id: str, verified: str) -> bool:
        """Delete the account if `verified` is still its password hash; tell whether it was."""
        outcome = await self._users.delete_one(
            {"_id": ObjectId(user_id), "passwordHash": verified}, session=transaction
        )
        return outcome.deleted_count == 1

    async def move_last_seen(self, moments: Mapping[str, datetime]) -> None:
        """Move `lastSeen` of these users forward, never back."""
        updates = [
            UpdateOne({"_id": ObjectId(user_id)}, {"$max": {"lastSeen": moment}})
            for user_id, moment in moments.items()
        ]
        if updates:
            await self._users.bulk_write(updates, ordered=False)


def user_document(user: User) -> Document:
    """Return the document of an account that did not exist before."""
    seen = {} if user.last_seen is None else {"lastSeen": user.last_seen}
    return {
        "_id": ObjectId(user.id),
        "username": user.username,
        "usernameKey": lookup_key(user.username),
        "email": user.email,
        "emailKey": lookup_key(user.email),
        "passwordHash": user.password_hash,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "avatarUrl": user.avatar_url,
        "createdAt": user.created_at,
        **seen,
    }


def _user(document: Document) -> User:
    return User(
        id=str(document["_id"]),
        username=document["username"],
        email=document["email"],
        password_hash=document["passwordHash"],
        created_at=document["createdAt"],
        firstname=document.get("firstname") or "",
        lastname=document.get("lastname") or "",
        avatar_url=document.get("avatarUrl"),
        last_seen=document.get("lastSeen"),
    )
