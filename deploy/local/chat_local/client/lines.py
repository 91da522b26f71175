"""Lines of standard input for an event loop."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

MOST_WAITING = 100
_CHUNK = 65_536


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of a file, pipe or terminal as they come, without their ends; blank ones are left out.

    A thread reads, since event loops watch no files, and past `sys.stdin`, whose lock it would hold for ever
    when the program ends. It waits while 100 lines are not taken yet.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)

    def hand_over(line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

    def read() -> None:
        rest = b""
        while chunk := os.read(descriptor, _CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                hand_over(line.decode(errors="replace"))
        hand_over(rest.decode(errors="replace"))
        hand_over(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        if line.strip():
            yield line.rstrip("\r")
