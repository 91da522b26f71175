"""The worker processes: they bound what an image can do, and one that is lost is replaced."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from chat_media.errors import ImageBroken, ImageTooLarge, UnsupportedImage, UploadsBusy
from chat_media.imaging import pool as pool_module
from chat_media.imaging.pool import ImagePool
from chat_media.imaging.worker import MAX_MEMORY_BYTES
from chat_shared.testing import eventually
from PIL import Image

MakePicture = Callable[..., bytes]


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[ImagePool]:
    pool = ImagePool(1)
    yield pool
    await pool.stop()


@pytest.fixture(scope="module")
def laborious() -> bytes:
    """An image that takes a noticeable time."""
    buffer = BytesIO()
    Image.effect_noise((2500, 2500), 80).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def workers() -> list[int]:
    """Return the process ids of all image workers of this test process."""
    threads = Path("/proc/self/task").iterdir()
    children = (pid for thread in threads for pid in _about(f"self/task/{thread.name}", "children").split())
    return [int(pid) for pid in children if b"chat_media.imaging.worker" in _about(int(pid), "cmdline")]


def _about(pid: int | str, what: str) -> bytes:
    try:
        return Path("/proc", str(pid), what).read_bytes()
    except OSError:
        return b""


class TestRecode:
    async def test_images_one_after_the_other(self, pool: ImagePool, picture: MakePicture) -> None:
        for kind in ("PNG", "JPEG", "GIF"):
            result = await pool.recode(picture(kind))
            assert (result.content_type, result.width) == (f"image/{kind.lower()}", 32)
        assert len(workers()) == 1

    async def test_refusals(self, pool: ImagePool, picture: MakePicture) -> None:
        with pytest.raises(UnsupportedImage):
            await pool.recode(b"text")
        with pytest.raises(ImageBroken):
            await pool.recode(picture()[:60])
        with pytest.raises(ImageTooLarge):
            await pool.recode(picture("PNG", (25_000_001, 1), "1"))
        assert (await pool.recode(picture(), 16)).width == 16

    async def test_many_at_once(self, pool: ImagePool, picture: MakePicture) -> None:
        results = await asyncio.gather(*(pool.recode(picture("PNG", (width, 9))) for width in range(1, 30)))
        assert [result.width for result in results] == list(range(1, 30))


class TestLostWorkers:
    async def test_killed_between_images(self, pool: ImagePool, picture: MakePicture) -> None:
        await pool.recode(picture())
        (worker,) = workers()
        os.kill(worker, signal.SIGKILL)
        await eventually(lambda: worker not in workers(), what="the worker is gone")
        assert (await pool.recode(picture())).width == 32

    async def test_killed_at_work(self, pool: ImagePool, picture: MakePicture, laborious: bytes) -> None:
        await pool.recode(picture())
        task = asyncio.create_task(pool.recode(laborious))
        await asyncio.sleep(0)  # the task has begun to write
        os.kill(workers()[0], signal.SIGKILL)
        assert (await task).width == 2500

    async def test_an_image_that_kills(self, pool: ImagePool, picture: MakePicture, laborious: bytes) -> None:
        task = asyncio.create_task(pool.recode(laborious))
        killed: set[int] = set()
        while not task.done():
            for worker in set(workers()) - killed:
                killed.add(worker)
                os.kill(worker, signal.SIGKILL)
            await asyncio.sleep(0.01)
        with pytest.raises(ImageBroken):
            await task
        assert len(killed) == 2
        assert (await pool.recode(picture())).width == 32

    async def test_takes_too_long(
        self, pool: ImagePool, picture: MakePicture, laborious: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await pool.recode(picture())
        (worker,) = workers()
        with monkeypatch.context() as patch:
            patch.setattr(pool_module, "RECODE_SECONDS", 0.1)
            with pytest.raises(ImageTooLarge):
                await pool.recode(laborious)
        assert worker not in workers()
        assert (await pool.recode(picture())).width == 32

    async def test_cancelled(self, pool: ImagePool, picture: MakePicture, laborious: bytes) -> None:
        await pool.recode(picture())
        task = asyncio.create_task(pool.recode(laborious))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pool.recode(picture("PNG", (7, 7)))).width == 7

    async def test_no_worker_is_free(
        self, pool: ImagePool, picture: MakePicture, laborious: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await pool.recode(picture())
        monkeypatch.setattr(pool_module, "QUEUE_SECONDS", 0.05)
        task = asyncio.create_task(pool.recode(laborious))
        await asyncio.sleep(0)
        with pytest.raises(UploadsBusy):
            await pool.recode(picture())
        assert (await task).width == 2500


class TestRights:
    async def test_worker_has_bounds_and_no_secrets(
        self, pool: ImagePool, picture: MakePicture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHAT_SERVICE_TOKEN", "must not be seen")
        await pool.recode(picture())
        (worker,) = workers()
        (memory,) = [line for line in _about(worker, "limits").splitlines() if b"address space" in line]
        assert str(MAX_MEMORY_BYTES).encode() in memory
        assert b"CHAT_" not in _about(worker, "environ")

    async def test_stop_ends_it(self, picture: MakePicture) -> None:
        pool = ImagePool(2)
        await asyncio.gather(pool.recode(picture()), pool.recode(picture()))
        assert len(workers()) == 2
        await pool.stop()
        assert workers() == []
