"""Content with Cloudinary, through its SDK.

Everything is stored as a `raw` asset, so that Cloudinary returns the very bytes that it was given (images
were encoded by us), and as `authenticated`, so that no URL works without a signature. Downloads go through
this service, which keeps headers, ranges and access the same for every store.

The SDK is synchronous: its calls run in threads of their own, few enough that a Cloudinary that hangs holds
nothing but these, and none is waited for longer than the account's `seconds`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, Final

import aiohttp
import cloudinary.utils
from chat_shared.logging import get_logger
from cloudinary import uploader
from cloudinary.exceptions import Error as CloudinaryError
from urllib3 import Timeout
from yarl import URL

from chat_media.domain.files import StoreName
from chat_media.domain.ranges import Span
from chat_media.errors import StoreAway

log = get_logger(__name__)

CONNECT_SECONDS = 2.0
#: Life of the signed URL by which this service itself downloads.
URL_SECONDS = 60
PIECE_BYTES = 64 * 1024
THREADS = 8

_ASSET = {"resource_type": "raw", "type": "authenticated"}


@dataclass(frozen=True, slots=True)
class CloudinaryAccount:
    """Where to store, and with which credentials."""

    cloud_name: str
    api_key: str
    api_secret: str
    url_prefix: str
    folder: str
    seconds: float
    """How long an upload or a removal may take."""

    def options(self) -> dict[str, str]:
        """Return what every call of the SDK is told, so that it relies on no global configuration."""
        return {
            "cloud_name": self.cloud_name,
            "api_key": self.api_key,
            "api_secret": self.api_secret,
            "upload_prefix": self.url_prefix.rstrip("/"),
        }


class CloudinaryStore:
    """Keeps content as private raw assets in one folder."""

    name: Final[StoreName] = "cloudinary"

    def __init__(self, account: CloudinaryAccount) -> None:
        self._options = {**account.options(), **_ASSET}
        self._folder = account.folder
        self._seconds = account.seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cloudinary")
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool for downloads."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._seconds)
        self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())

    async def stop(self) -> None:
        """Close the connection pool; a call that hangs is left to its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            await self._session.close()

    async def put(self, key: str, content: bytes) -> None:
        """Store content.

        Raises:
            StoreAway: it is not known to be stored; a call that hangs may even store it later.
        """
        call = partial(uploader.upload, BytesIO(content), public_id=self._public_id(key), overwrite=True)
        answer = await self._call(call)
        if answer.get("bytes") != len(content):
            raise StoreAway("The file did not arrive whole; try again")

    async def read(self, key: str, span: Span) -> AsyncIterator[bytes]:
        """Yield the bytes of `span` in pieces.

        Raises:
            StoreAway: Cloudinary is away, or the content is gone.
        """
        session = self._session
        if session is None:
            raise StoreAway
        wanted = {"range": f"bytes={span.start}-{span.stop - 1}"}
        try:
            async with session.get(self._download_url(key), headers=wanted) as response:
                if response.status not in (200, 206):
                    log.error("cloudinary refused a download", status=response.status)
                    raise StoreAway
                skipped = span.start if response.status == 200 else 0
                async for piece in _cut(response.content, skipped, span.length):
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise StoreAway from error

    async def delete(self, key: str) -> None:
        """Remove content; nothing happens when there is none.

        Raises:
            StoreAway: it may still be there.
        """
        answer = await self._call(partial(uploader.destroy, self._public_id(key), invalidate=True))
        if answer.get("result") not in ("ok", "not found"):
            raise StoreAway

    async def _call(self, call: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        bounded = partial(call, **self._options, timeout=Timeout(connect=CONNECT_SECONDS, read=self._seconds))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, bounded)
        except (CloudinaryError, TimeoutError) as error:
            log.error("cloudinary failed", error=type(error).__name__)
            raise StoreAway from error

    def _public_id(self, key: str) -> str:
        return f"{self._folder}/{key}"

    def _download_url(self, key: str) -> URL:
        signed = cloudinary.utils.private_download_url(
            self._public_id(key), "", expires_at=int(time.time()) + URL_SECONDS, **self._options
        )
        return URL(signed, encoded=True)


async def _cut(content: aiohttp.StreamReader, skip: int, length: int) -> AsyncIterator[bytes]:
    """Yield `length` bytes after the first `skip` ones.

    Raises:
        StoreAway: there are not so many.
    """
    async for piece in content.iter_chunked(PIECE_BYTES):
        part = piece[skip : skip + length]
        skip = max(0, skip - len(piece))
        length -= len(part)
        if part:
            yield part
        if not length:
            return
    raise StoreAway
