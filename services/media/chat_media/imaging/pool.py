"""The processes that work on images, and what happens when one of them does not come back.

Processes, not threads: a decoder holds no lock of ours, its memory can be bounded, and one that hangs or
dies on a hostile image takes nobody with it. They are plain children that talk over pipes rather than a
`ProcessPoolExecutor`, which cannot end a single hanging job.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

from chat_shared.logging import get_logger
from chat_shared.request_context import seconds_left

from chat_media.errors import ImageBroken, ImageTooLarge, UnsupportedImage, UploadsBusy
from chat_media.imaging.recoding import Picture, Refusal
from chat_media.imaging.worker import ANSWER, REQUEST

log = get_logger(__name__)

QUEUE_SECONDS = 15.0
RECODE_SECONDS = 15.0
#: A worker may have died before it got the image; one that kills a second worker is to blame itself.
ATTEMPTS = 2

_REFUSALS = {
    Refusal.UNSUPPORTED: UnsupportedImage,
    Refusal.TOO_LARGE: ImageTooLarge,
    Refusal.BROKEN: ImageBroken,
}


class ImagePool:
    """Recodes as many images at a time as it has workers; the others wait their turn."""

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._idle: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def start(self) -> None:
        """Workers start when they are needed first."""

    async def stop(self) -> None:
        """End every worker."""
        for worker in self._workers:
            await worker.end()

    async def recode(self, content: bytes, max_side: int = 0) -> Picture:
        """Return an image encoded anew; see `recoding.recode`.

        Raises:
            UnsupportedImage, ImageBroken, ImageTooLarge: it is not accepted.
            UploadsBusy: no worker was free in time.
        """
        worker = await self._next_idle()
        try:
            for _ in range(ATTEMPTS):
                with suppress(_WorkerLost):
                    return await worker.recode(content, max_side)
        finally:
            self._idle.put_nowait(worker)
        raise ImageBroken

    async def _next_idle(self) -> "_Worker":
        try:
            async with asyncio.timeout(seconds_left(QUEUE_SECONDS)):
                return await self._idle.get()
        except TimeoutError:
            raise UploadsBusy from None


class _WorkerLost(Exception):
    """The process ended before it answered."""


class _Worker:
    """One child process; started when needed, replaced when it failed."""

    def __init__(self) -> None:
        self._process: Process | None = None

    async def recode(self, content: bytes, max_side: int) -> Picture:
        process = await self._running()
        finished = False
        try:
            async with asyncio.timeout(RECODE_SECONDS):
                outcome = await _ask(process, content, max_side)
            finished = True
        except TimeoutError:
            raise ImageTooLarge("The image takes too much work") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            log.warning("an image worker died")
            raise _WorkerLost from None
        finally:
            if not finished:
                await self.end()
        if isinstance(outcome, Refusal):
            raise _REFUSALS[outcome]
        return outcome

    async def end(self) -> None:
        """Kill the process: it holds nothing worth saving."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            # An empty environment: what decodes the files of strangers has no use for our secrets.
            # A session of its own: Ctrl-C in a terminal is for the service, which ends its workers.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-m", "chat_media.imaging.worker"),
                stdin=PIPE,
                stdout=PIPE,
                env={},
                start_new_session=True,
            )
        return self._process


async def _ask(process: Process, content: bytes, max_side: int) -> Picture | Refusal:
    assert process.stdin is not None  # noqa: S101 - narrows the type; a pipe was asked for
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(REQUEST.pack(max_side, len(content)))
    process.stdin.write(content)
    await process.stdin.drain()
    (length,) = ANSWER.unpack(await process.stdout.readexactly(ANSWER.size))
    header = json.loads(await process.stdout.readexactly(length))
    if "refusal" in header:
        return Refusal(header["refusal"])
    image = await process.stdout.readexactly(header["size"])
    return Picture(image, header["contentType"], header["width"], header["height"])
