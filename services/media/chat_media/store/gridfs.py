"""Content in MongoDB itself (GridFS): the default, because it needs nothing more to run."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from bson import ObjectId
from chat_shared.mongo import Mongo
from gridfs.asynchronous import AsyncGridFSBucket
from gridfs.errors import NoFile

from chat_media.domain.files import StoreName
from chat_media.domain.ranges import Span
from chat_media.errors import StoreAway

BUCKET = "content"
CHUNK_BYTES = 1024 * 1024


class GridFSStore:
    """Keeps content in the buckets `content.files` and `content.chunks`. Its keys are ids of files."""

    name: Final[StoreName] = "gridfs"

    def __init__(self, mongo: Mongo) -> None:
        self._bucket = AsyncGridFSBucket(mongo.database, BUCKET, chunk_size_bytes=CHUNK_BYTES)
        self._chunks = mongo.collection(f"{BUCKET}.chunks")

    async def start(self) -> None:
        """Nothing of its own: the connection is the service's."""

    async def stop(self) -> None:
        """Nothing of its own."""

    async def put(self, key: str, content: bytes) -> None:
        """Store content durably.

        Raises:
            PyMongoError: it is not known how much of it is stored.
        """
        await self._bucket.upload_from_stream_with_id(ObjectId(key), key, content)

    async def read(self, key: str, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces.

        Chunk by chunk, where the bucket's own stream would fetch up to 16 MB ahead: a reader who is slow
        holds one chunk in our memory and no cursor in MongoDB.

        Raises:
            StoreAway: the content is gone.
        """
        for number in range(span.start // CHUNK_BYTES, -(-span.stop // CHUNK_BYTES)):
            chunk = await self._chunks.find_one({"files_id": ObjectId(key), "n": number})
            if chunk is None:
                raise StoreAway("The file was deleted while it was being read")
            offset = number * CHUNK_BYTES
            yield bytes(chunk["data"])[max(0, span.start - offset) : span.stop - offset]

    async def delete(self, key: str) -> None:
        """Remove content; nothing happens when there is none."""
        with suppress(NoFile):  # raised after chunks without a file are removed too
            await self._bucket.delete(ObjectId(key))
