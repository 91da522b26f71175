"""The collections `sessions` and `refresh_tokens`.

A session that ended is deleted: one that is not there has ended. Both collections lose what is expired by
themselves; because MongoDB does that once a minute, every query looks at the time as well.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from bson import ObjectId
from chat_shared.crypto import Sealed
from chat_shared.mongo import Document, Mongo
from pymongo import ASCENDING, DESCENDING, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_auth.domain.sessions import RefreshToken, Session

MAX_LISTED = 100


class SessionStore:
    """Sessions and the refresh tokens of each."""

    def __init__(self, mongo: Mongo) -> None:
        self._sessions = mongo.collection("sessions")
        self._tokens = mongo.collection("refresh_tokens")
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self._sessions.create_index([("userId", ASCENDING), ("lastUsedAt", DESCENDING)])
        await self._sessions.create_index([("expiresAt", ASCENDING)], expireAfterSeconds=0)
        await self._tokens.create_index([("sessionId", ASCENDING)])
        await self._tokens.create_index([("expiresAt", ASCENDING)], expireAfterSeconds=0)

    async def add(self, transaction: AsyncClientSession, session: Session, family_secret: Sealed) -> None:
        """Store a new session with the sealed secret of its refresh tokens."""
        await self._sessions.insert_one(
            {
                "_id": ObjectId(session.id),
                "userId": ObjectId(session.user_id),
                "createdAt": session.created_at,
                "lastUsedAt": session.last_used_at,
                "expiresAt": session.expires_at,
                "userAgent": session.user_agent,
                "address": session.address,
                "familySecret": family_secret.to_document(),
            },
            session=transaction,
        )

    async def find_live(self, session_id: str, now: datetime) -> tuple[Session, Sealed] | None:
        """Return a session that has not ended, with the sealed secret of its tokens."""
        document = await self._sessions.find_one({"_id": ObjectId(session_id), "expiresAt": {"$gt": now}})
        return (_session(document), Sealed.from_document(document["familySecret"])) if document else None

    async def list_live(self, user_id: str, now: datetime) -> list[Session]:
        """Return the sessions of a user, the last used one first, 100 at most."""
        query = {"userId": ObjectId(user_id), "expiresAt": {"$gt": now}}
        documents = self._sessions.find(query).sort("lastUsedAt", DESCENDING).limit(MAX_LISTED)
        return [_session(document) async for document in documents]

    async def count_live(self, user_id: str, now: datetime) -> int:
        """Return how many sessions of a user have not ended."""
        return await self._sessions.count_documents({"userId": ObjectId(user_id), "expiresAt": {"$gt": now}})

    async def live_among(self, session_ids: Iterable[str], now: datetime) -> set[str]:
        """Return those of these sessions that have not ended; malformed ids are none."""
        ids = [ObjectId(session_id) for session_id in session_ids if ObjectId.is_valid(session_id)]
        live = self._sessions.find({"_id": {"$in": ids}, "expiresAt": {"$gt": now}}, projection={"_id": 1})
        return {str(document["_id"]) async for document in live}

    async def ids_of(self, transaction: AsyncClientSession, user_id: str) -> list[str]:
        """Return the ids of all sessions of a user."""
        sessions = self._sessions.find(
            {"userId": ObjectId(user_id)}, projection={"_id": 1}, session=transaction
        )
        return [str(document["_id"]) async for document in sessions]

    async def prolong(self, session_id: str, now: datetime, expires_at: datetime) -> bool:
        """Note that a session was refreshed; tell whether it is still alive."""
        outcome = await self._sessions.update_one(
            {"_id": ObjectId(session_id), "expiresAt": {"$gt": now}},
            {"$set": {"lastUsedAt": now, "expiresAt": expires_at}},
        )
        return outcome.matched_count == 1

    async def remove(
        self, transaction: AsyncClientSession, user_id: str, session_ids: Sequence[str]
    ) -> list[str]:
        """Delete sessions of a user with their refresh tokens; return the ids that were there."""
        ids = [ObjectId(session_id) for session_id in session_ids if ObjectId.is_valid(session_id)]
        mine = {"_id": {"$in": ids}, "userId": ObjectId(user_id)}
        found = await self._sessions.find(mine, projection={"_id": 1}, session=transaction).to_list()
        there = [document["_id"] for document in found]
        if there:
            await self._sessions.delete_many({"_id": {"$in": there}}, session=transaction)
            await self._tokens.delete_many({"sessionId": {"$in": there}}, session=transaction)
        return [str(session_id) for session_id in there]

    async def add_token(self, token: RefreshToken, transaction: AsyncClientSession | None = None) -> None:
        """Store an issued refresh token; one that is there already stays as it is."""
        await self._tokens.update_one(
            {"_id": token.digest},
            {
                "$setOnInsert": {
                    "sessionId": ObjectId(token.session_id),
                    "userId": ObjectId(token.user_id),
                    "expiresAt": token.expires_at,
                }
            },
            upsert=True,
            session=transaction,
        )

    async def find_token(self, digest: bytes, now: datetime) -> RefreshToken | None:
        """Return the refresh token with this digest unless it is expired."""
        document = await self._tokens.find_one({"_id": digest, "expiresAt": {"$gt": now}})
        return _token(document) if document else None

    async def mark_used(self, digest: bytes, now: datetime) -> RefreshToken | None:
        """Note the first use of a refresh token and return it; later calls change nothing."""
        document = await self._tokens.find_one_and_update(
            {"_id": digest}, {"$min": {"usedAt": now}}, return_document=ReturnDocument.AFTER
        )
        return _token(document) if document else None


def _session(document: Document) -> Session:
    return Session(
        id=str(document["_id"]),
        user_id=str(document["userId"]),
        created_at=document["createdAt"],
        last_used_at=document["lastUsedAt"],
        expires_at=document["expiresAt"],
        user_agent=document["userAgent"],
        address=document["address"],
    )


def _token(document: Document) -> RefreshToken:
    return RefreshToken(
        digest=bytes(document["_id"]),
        session_id=str(document["sessionId"]),
        user_id=str(document["userId"]),
        expires_at=document["expiresAt"],
        used_at=document.get("usedAt"),
    )
