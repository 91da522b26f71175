"""The records of files, and how much each user stores.

    files   {_id, ownerId, kind, roomIds, contentType, size, width, height, name, store, storeKey,
             createdAt, state, deletedAt?, sweepAt?}
    usage   {_id: ownerId, bytes}     the sizes of all records of the owner, whatever their state

    pending ──content is stored──> stored ──deleted──> deleted ──content is gone──> no record
       └──────────────── never finished: `sweepAt` passes ────────^

Only `stored` files exist for users. `sweepAt` says when content and record may be removed, so a crash at
any point leaves a record that leads to the leftovers, and never content that nothing knows of.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from chat_shared.contracts.base import utc_now
from chat_shared.mongo import Document, Mongo
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_media.domain.files import KEPT_AVATARS, MAX_ROOMS, MediaFile

BATCH = 200
#: Far longer than an upload can take.
PENDING_LIFE = timedelta(hours=1)
#: How long one process has for a removal before another may try.
SWEEP_LEASE = timedelta(minutes=1)


class FileStore:
    """Collection `files`."""

    def __init__(self, mongo: Mongo) -> None:
        self._files = mongo.collection("files")
        mongo.prepare_with(self._create_indexes)

    async def _create_indexes(self) -> None:
        await self._files.create_indexes(
            [
                IndexModel([("ownerId", ASCENDING), ("createdAt", DESCENDING)], name="by_owner"),
                IndexModel([("roomIds", ASCENDING)], name="by_room"),
                IndexModel(
                    [("sweepAt", ASCENDING)],
                    name="by_sweep",
                    partialFilterExpression={"sweepAt": {"$exists": True}},
                ),
            ]
        )

    async def add_pending(self, session: AsyncClientSession, file: MediaFile) -> None:
        """Note a file whose content is about to be stored."""
        document = {**_document(file), "state": "pending", "sweepAt": utc_now() + PENDING_LIFE}
        await self._files.insert_one(document, session=session)

    async def finish(self, session: AsyncClientSession, media_id: str) -> bool:
        """Let a pending file exist; tell whether it still was pending."""
        finished = await self._files.update_one(
            {"_id": ObjectId(media_id), "state": "pending"},
            {"$set": {"state": "stored"}, "$unset": {"sweepAt": ""}},
            session=session,
        )
        return finished.modified_count == 1

    async def give_up(self, media_id: str, sweep_after: timedelta) -> None:
        """Have a pending file removed once `sweep_after` has passed."""
        await self._files.update_one(
            {"_id": ObjectId(media_id), "state": "pending"},
            {"$set": {"state": "deleted", "deletedAt": utc_now(), "sweepAt": utc_now() + sweep_after}},
        )

    async def find(self, media_id: str) -> MediaFile | None:
        """Return a stored file."""
        document = await self._files.find_one({"_id": ObjectId(media_id), "state": "stored"})
        return None if document is None else _file_from(document)

    async def find_many(self, media_ids: Iterable[str]) -> dict[str, MediaFile]:
        """Return the stored files among these ids."""
        wanted = [ObjectId(media_id) for media_id in set(media_ids)]
        documents = self._files.find({"_id": {"$in": wanted}, "state": "stored"})
        return {str(document["_id"]): _file_from(document) async for document in documents}

    async def show_in_room(self, media_ids: Sequence[str], room_id: str) -> None:
        """Note that these files were sent into a room."""
        await self._files.update_many(
            {
                "_id": {"$in": [ObjectId(media_id) for media_id in media_ids]},
                "state": "stored",
                f"roomIds.{MAX_ROOMS - 1}": {"$exists": False},
            },
            {"$addToSet": {"roomIds": ObjectId(room_id)}},
        )

    async def delete(self, session: AsyncClientSession, media_id: str) -> bool:
        """Take a stored file away from its users; tell whether it was there."""
        return await self._mark_deleted(session, [ObjectId(media_id)], state="stored") == 1

    async def delete_of_owner(self, session: AsyncClientSession, owner_id: str) -> list[MediaFile] | None:
        """Take a batch of a user's files away, unfinished ones too.

        Return those of them that existed for users, or None when there was nothing left to do.
        """
        return await self._delete_where(session, {"ownerId": ObjectId(owner_id)})

    async def delete_of_room(self, session: AsyncClientSession, room_id: str) -> list[MediaFile] | None:
        """Take a batch of those files away that were shown in this room alone; see `delete_of_owner`."""
        return await self._delete_where(session, {"roomIds": [ObjectId(room_id)]})

    async def leave_room(self, room_id: str) -> None:
        """Show the files that other rooms still show no longer in this one."""
        await self._files.update_many(
            {"roomIds": ObjectId(room_id), "roomIds.1": {"$exists": True}},
            {"$pull": {"roomIds": ObjectId(room_id)}},
        )

    async def delete_old_avatars(self, session: AsyncClientSession, owner_id: str) -> list[MediaFile]:
        """Take all avatars of a user away but the newest."""
        avatars = self._files.find(
            {"ownerId": ObjectId(owner_id), "kind": "avatar", "state": "stored"},
            sort=[("createdAt", DESCENDING)],
            skip=KEPT_AVATARS,
            limit=BATCH,
            session=session,
        )
        old = await avatars.to_list()
        await self._mark_deleted(session, [document["_id"] for document in old])
        return [_file_from(document) for document in old]

    async def claim_leftover(self, stores: Iterable[str]) -> MediaFile | None:
        """Return a file whose content and record may go, for this process to remove within the lease.

        `stores`: the names of the stores that this process can reach.
        """
        document = await self._files.find_one_and_update(
            {"sweepAt": {"$lte": utc_now()}, "store": {"$in": list(stores)}},
            {"$set": {"state": "deleted", "sweepAt": utc_now() + SWEEP_LEASE}},
            sort=[("sweepAt", ASCENDING)],
        )
        return None if document is None else _file_from(document)

    async def remove(self, session: AsyncClientSession, media_id: str) -> bool:
        """Remove the record of a deleted file; tell whether it was there."""
        removed = await self._files.delete_one(
            {"_id": ObjectId(media_id), "state": "deleted"}, session=session
        )
        return removed.deleted_count == 1

    async def _delete_where(self, session: AsyncClientSession, where: Document) -> list[MediaFile] | None:
        found = await self._files.find(
            {**where, "state": {"$ne": "deleted"}}, limit=BATCH, session=session
        ).to_list()
        if not found:
            return None
        await self._mark_deleted(session, [document["_id"] for document in found])
        return [_file_from(document) for document in found if document["state"] == "stored"]

    async def _mark_deleted(self, session: AsyncClientSession, ids: Sequence[ObjectId], **where: Any) -> int:
        now = utc_now()
        marked = await self._files.update_many(
            {"_id": {"$in": list(ids)}, **where},
            {"$set": {"state": "deleted", "deletedAt": now, "sweepAt": now}},
            session=session,
        )
        return marked.modified_count


class Usage:
    """Collection `usage`: how many bytes each user stores."""

    def __init__(self, mongo: Mongo) -> None:
        self._usage = mongo.collection("usage")

    async def add(self, session: AsyncClientSession, owner_id: str, size: int, quota: int) -> bool:
        """Count `size` more bytes unless that exceeds `quota`; tell whether they were counted."""
        owner = ObjectId(owner_id)
        await self._usage.update_one(
            {"_id": owner}, {"$setOnInsert": {"bytes": 0}}, upsert=True, session=session
        )
        counted = await self._usage.update_one(
            {"_id": owner, "bytes": {"$lte": quota - size}}, {"$inc": {"bytes": size}}, session=session
        )
        return counted.modified_count == 1

    async def subtract(self, session: AsyncClientSession, owner_id: str, size: int) -> None:
        """Count `size` bytes less."""
        owner = ObjectId(owner_id)
        await self._usage.update_one({"_id": owner}, {"$inc": {"bytes": -size}}, session=session)
        await self._usage.delete_one({"_id": owner, "bytes": {"$lte": 0}}, session=session)


def new_id() -> str:
    """Return the id of a new file."""
    return str(ObjectId())


def _document(file: MediaFile) -> Document:
    return {
        "_id": ObjectId(file.id),
        "ownerId": ObjectId(file.owner_id),
        "kind": file.kind,
        "roomIds": [ObjectId(room_id) for room_id in file.room_ids],
        "contentType": file.content_type,
        "size": file.size,
        "width": file.width,
        "height": file.height,
        "name": file.name,
        "store": file.store,
        "storeKey": file.store_key,
        "createdAt": file.created_at,
    }


def _file_from(document: Document) -> MediaFile:
    created_at: datetime = document["createdAt"]
    return MediaFile(
        id=str(document["_id"]),
        owner_id=str(document["ownerId"]),
        kind=document["kind"],
        room_ids=tuple(str(room_id) for room_id in document["roomIds"]),
        content_type=document["contentType"],
        size=document["size"],
        width=document["width"],
        height=document["height"],
        name=document["name"],
        store=document["store"],
        store_key=document["storeKey"],
        created_at=created_at,
    )
