"""Lines of standard input for an event loop."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from chat_local.client.errors import CommandFailed

MOST_WAITING = 100
LONGEST_LINE = 65_536
"""Bytes; more than any message may have."""

_CHUNK = 65_536


class BrokenInput(CommandFailed):
    """Standard input cannot be read, or has a line that is no message."""


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of a file, pipe or terminal as they come, without their ends; blank ones are left out.

    A thread reads, since event loops watch no files, and past `sys.stdin`, whose lock it would hold for ever
    when the program ends. It waits while 100 lines are not taken yet.

    Raises:
        BrokenInput: it cannot be read, or a line is longer than 64 KiB; all lines before came.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | BrokenInput | None] = asyncio.Queue(MOST_WAITING)

    def hand_over(item: str | BrokenInput | None) -> None:
        putting = queue.put(item)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        finally:
            putting.close()

    def read() -> None:
        # These two: the event loop is at its end, so nobody takes lines any more.
        with suppress(concurrent.futures.CancelledError, RuntimeError):
            try:
                for line in _read_lines(descriptor):
                    hand_over(line)
            except BrokenInput as broken:
                hand_over(broken)
            else:
                hand_over(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        if isinstance(line, BrokenInput):
            raise line
        if line.strip():
            yield line.rstrip("\r")


def _read_lines(descriptor: int) -> Iterator[str]:
    """Yield lines without their newline; the last one also without one.

    Raises:
        BrokenInput: see `lines_of`.
    """
    parts: list[bytes] = []
    length = 0
    while chunk := _read(descriptor):
        first, *others = chunk.split(b"\n")
        for following in others:
            yield _line([*parts, first])
            parts, length, first = [], 0, following
        parts.append(first)
        length += len(first)
        if length > LONGEST_LINE:
            raise _too_long()
    yield _line(parts)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError as error:
        raise BrokenInput(f"Standard input cannot be read: {error.strerror}.") from error


def _line(parts: list[bytes]) -> str:
    line = b"".join(parts)
    if len(line) > LONGEST_LINE:
        raise _too_long()
    return line.decode(errors="replace")


def _too_long() -> BrokenInput:
    return BrokenInput(f"A line of standard input has more than {LONGEST_LINE} bytes.")
