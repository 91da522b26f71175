"""Accounts that were imported: in `users`, and in `imported_users` {_id} also when they are deleted again."""

from collections.abc import Iterable, Sequence

from bson import ObjectId
from chat_shared.mongo import Mongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError

from chat_auth.domain.accounts import User, lookup_key
from chat_auth.errors import AccountTaken
from chat_auth.store.users import user_document


class ImportedUsers:
    """Accounts with the ids that they had elsewhere."""

    def __init__(self, mongo: Mongo) -> None:
        self._users = mongo.collection("users")
        self._brought = mongo.collection("imported_users")

    async def known(self, user_ids: Iterable[str]) -> tuple[set[str], set[str]]:
        """Return which of these accounts exist, and which were brought at some time."""
        query = {"_id": {"$in": [ObjectId(user_id) for user_id in user_ids]}}
        here = {str(row["_id"]) async for row in self._users.find(query, {"_id": True})}
        brought = {str(row["_id"]) async for row in self._brought.find(query)}
        return here, brought

    async def owners_of_names(self, users: Sequence[User]) -> tuple[dict[str, str], dict[str, str]]:
        """Return who has the usernames and who the email addresses of these users, by lookup key."""
        usernames = [lookup_key(user.username) for user in users]
        emails = [lookup_key(user.email) for user in users]
        found = await self._users.find(
            {"$or": [{"usernameKey": {"$in": usernames}}, {"emailKey": {"$in": emails}}]},
            {"usernameKey": True, "emailKey": True},
        ).to_list()
        return (
            {row["usernameKey"]: str(row["_id"]) for row in found},
            {row["emailKey"]: str(row["_id"]) for row in found},
        )

    async def add(self, transaction: AsyncClientSession, users: Sequence[User]) -> None:
        """Store accounts and remember that they were brought.

        Raises:
            AccountTaken: somebody took one of the ids or names meanwhile.
        """
        try:
            await self._users.insert_many([user_document(user) for user in users], session=transaction)
            await self._brought.insert_many(
                [{"_id": ObjectId(user.id)} for user in users], session=transaction
            )
        except BulkWriteError as error:
            if error.has_error_label("TransientTransactionError"):
                raise
            raise AccountTaken from error
