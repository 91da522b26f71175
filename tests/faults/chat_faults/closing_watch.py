"""Raw sockets that wait for their gateway to close them, and note when and how it did."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from chat_shared.testing import RawSocket

from chat_faults.fault import Run

NORMAL_CLOSE_CODES = range(1000, 1005)
"""RFC 6455 §7.4.1; 1006 stands for a connection that was cut without a close frame."""
CLOSE_SECONDS = 5.0


@dataclass
class ClosingWatch:
    """What became of the watched sockets."""

    closed_at: dict[str, list[float]] = field(default_factory=dict)
    """By gateway, when its sockets were closed (monotonic)."""
    torn: int = 0
    """How many of them got no close frame."""


@asynccontextmanager
async def closing_watch(run: Run, count: int) -> AsyncIterator[ClosingWatch]:
    """Watch `count` sockets on each gateway for the time of the block, until all are closed."""
    watch = ClosingWatch()
    token = run.load.hot_room.owner.access_token
    async with AsyncExitStack() as stack:
        tasks = []
        for name in run.rig.instances("gateway-ws"):
            watch.closed_at[name] = []
            for _ in range(count):
                socket = await stack.enter_async_context(RawSocket(run.rig.process(name).url))
                await socket.log_in(token)
                tasks.append(asyncio.create_task(_note_end(watch, name, socket)))
        yield watch
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in tasks:
            task.cancel()


async def _note_end(watch: ClosingWatch, gateway: str, socket: RawSocket) -> None:
    await socket.closed.wait()
    watch.closed_at[gateway].append(time.monotonic())
    watch.torn += socket.close_code not in NORMAL_CLOSE_CODES
