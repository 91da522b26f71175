"""Storing what users send."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chat_shared.contracts.base import utc_now
from chat_shared.contracts.events import MediaDeleted, MediaUploaded
from chat_shared.logging import get_logger
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from chat_shared.request_context import seconds_left
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from chat_media.clients import Rooms
from chat_media.domain.content_types import served_type
from chat_media.domain.files import Kind, MediaFile
from chat_media.domain.names import display_name, image_name
from chat_media.errors import NotAMember, QuotaExceeded, RoomNotFound, StoreAway
from chat_media.imaging.pool import ImagePool
from chat_media.imaging.recoding import Picture
from chat_media.service.content import ContentStores
from chat_media.store import FileStore, Usage
from chat_media.store.files import new_id

log = get_logger(__name__)

MAX_AVATAR_SIDE = 512
STORE_SECONDS = 30.0
#: When a store did not answer, its content may still arrive for as long.
LATE_ARRIVAL = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Upload:
    """What a user sent."""

    owner_id: str
    content: bytes
    name: str | None = None
    content_type: str | None = None
    room_id: str | None = None
    """A room whose members may see it from the start."""


class Uploads:
    """A record leads to the content before there is any, and lets users see it after it is whole."""

    def __init__(
        self,
        mongo: Mongo,
        files: FileStore,
        usage: Usage,
        outbox: Outbox,
        stores: ContentStores,
        images: ImagePool,
        rooms: Rooms,
        quota: int,
    ) -> None:
        """`quota`: bytes that one user may store."""
        self._mongo = mongo
        self._files = files
        self._usage = usage
        self._outbox = outbox
        self._stores = stores
        self._images = images
        self._rooms = rooms
        self._quota = quota

    async def image(self, upload: Upload) -> MediaFile:
        """Store an image, encoded anew.

        Raises:
            UnsupportedImage, ImageBroken, ImageTooLarge: it is not accepted.
            RoomNotFound, NotAMember: it is for a room that the user is not a member of.
            QuotaExceeded: the user stores too much.
            Unavailable: a dependency is away or busy; nothing is stored.
        """
        await self._require_member(upload)
        return await self._store_picture("image", upload, await self._images.recode(upload.content))

    async def avatar(self, upload: Upload) -> MediaFile:
        """Store an avatar, small and still, and drop old ones of its owner; raises what `image` raises."""
        picture = await self._images.recode(upload.content, MAX_AVATAR_SIDE)
        return await self._store_picture("avatar", upload, picture)

    async def file(self, upload: Upload) -> MediaFile:
        """Store any other file as it is; raises what `image` raises about rooms, quota and dependencies."""
        await self._require_member(upload)
        file = self._new_file(
            "file",
            upload,
            content_type=served_type(upload.content_type),
            name=display_name(upload.name),
            size=len(upload.content),
        )
        return await self._store(file, upload.content)

    async def _store_picture(self, kind: Kind, upload: Upload, picture: Picture) -> MediaFile:
        file = self._new_file(
            kind,
            upload,
            content_type=picture.content_type,
            name=image_name(upload.name, picture.content_type),
            size=len(picture.content),
            width=picture.width,
            height=picture.height,
        )
        return await self._store(file, picture.content)

    def _new_file(self, kind: Kind, upload: Upload, **fields: Any) -> MediaFile:
        media_id = new_id()
        return MediaFile(
            id=media_id,
            owner_id=upload.owner_id,
            kind=kind,
            room_ids=() if upload.room_id is None else (upload.room_id,),
            store=self._stores.current.name,
            store_key=media_id,
            created_at=utc_now(),
            **fields,
        )

    async def _require_member(self, upload: Upload) -> None:
        if upload.room_id is None:
            return
        (standing,) = await self._rooms.standings(upload.owner_id, [upload.room_id])
        if not standing.is_member:
            raise NotAMember if standing.is_public else RoomNotFound

    async def _store(self, file: MediaFile, content: bytes) -> MediaFile:
        seconds_left(STORE_SECONDS)  # whoever asked may have given up while the image waited for a worker
        await self._reserve(file)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._stores.current.put(file.store_key, content)
        except (StoreAway, PyMongoError, TimeoutError) as error:
            log.warning("content could not be stored", media_id=file.id, error=repr(error)[:200])
            await self._give_up(file)
            raise StoreAway from error
        await self._finish(file)
        log.info("file stored", media_id=file.id, kind=file.kind, bytes=file.size, store=file.store)
        return file

    async def _reserve(self, file: MediaFile) -> None:
        async def work(transaction: AsyncClientSession) -> None:
            if not await self._usage.add(transaction, file.owner_id, file.size, self._quota):
                raise QuotaExceeded
            await self._files.add_pending(transaction, file)

        await self._mongo.transaction(work)

    async def _finish(self, file: MediaFile) -> None:
        async def work(transaction: AsyncClientSession) -> None:
            if not await self._files.finish(transaction, file.id):
                raise StoreAway("The file was removed while it was being stored")
            await self._outbox.add(
                transaction,
                MediaUploaded(media_id=file.id, owner_id=file.owner_id, kind=file.kind, size=file.size),
            )
            if file.kind == "avatar":
                old = await self._files.delete_old_avatars(transaction, file.owner_id)
                gone = [MediaDeleted(media_id=avatar.id, owner_id=avatar.owner_id) for avatar in old]
                await self._outbox.add(transaction, *gone)

        await self._mongo.transaction(work)
        self._outbox.flush()

    async def _give_up(self, file: MediaFile) -> None:
        try:
            await self._files.give_up(file.id, LATE_ARRIVAL)
        except PyMongoError:
            log.warning("an unfinished upload is left to the sweep", media_id=file.id)
