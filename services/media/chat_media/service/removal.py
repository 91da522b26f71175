"""Taking files away from their users. Content and record follow: see `Sweeper`."""

from collections.abc import Awaitable, Callable

from chat_shared.contracts.events import MediaDeleted
from chat_shared.mongo import Mongo
from chat_shared.outbox import Outbox
from pymongo.asynchronous.client_session import AsyncClientSession

from chat_media.domain.files import MediaFile
from chat_media.errors import MediaNotFound, NotYourMedia
from chat_media.service.sweeper import Sweeper
from chat_media.store import FileStore

_Batch = Callable[[AsyncClientSession], Awaitable[list[MediaFile] | None]]


class Removal:
    """Deletes single files for their owners, and all files of users and rooms that are gone."""

    def __init__(self, mongo: Mongo, files: FileStore, outbox: Outbox, sweeper: Sweeper) -> None:
        self._mongo = mongo
        self._files = files
        self._outbox = outbox
        self._sweeper = sweeper

    async def delete(self, file: MediaFile, user_id: str) -> None:
        """Delete a file that the user may see.

        Raises:
            NotYourMedia: it is somebody else's.
            MediaNotFound: it was deleted meanwhile.
        """
        if file.owner_id != user_id:
            raise NotYourMedia

        async def work(transaction: AsyncClientSession) -> None:
            if not await self._files.delete(transaction, file.id):
                raise MediaNotFound
            await self._outbox.add(transaction, _deleted(file))

        await self._mongo.transaction(work)
        self._publish_and_sweep()

    async def delete_of_user(self, user_id: str) -> None:
        """Delete all files of a user; may be repeated."""
        await self._in_batches(lambda transaction: self._files.delete_of_owner(transaction, user_id))

    async def delete_of_room(self, room_id: str) -> None:
        """Delete the files that only this room showed, and take the others out of it; may be repeated."""
        await self._files.leave_room(room_id)
        await self._in_batches(lambda transaction: self._files.delete_of_room(transaction, room_id))

    async def _in_batches(self, delete_batch: _Batch) -> None:
        async def work(transaction: AsyncClientSession) -> bool:
            files = await delete_batch(transaction)
            if files is None:
                return False
            await self._outbox.add(transaction, *(_deleted(file) for file in files))
            return True

        while await self._mongo.transaction(work):
            self._publish_and_sweep()

    def _publish_and_sweep(self) -> None:
        self._outbox.flush()
        self._sweeper.wake()


def _deleted(file: MediaFile) -> MediaDeleted:
    return MediaDeleted(media_id=file.id, owner_id=file.owner_id)
