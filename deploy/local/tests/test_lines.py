"""Lines of standard input: all of them, in order, and an end with a reason when there is one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from chat_local.client.lines import LONGEST_LINE, BrokenInput, lines_of


@pytest.mark.parametrize(
    ("typed", "lines"),
    [(b"", []), (b"one\n\n two\r\nthree", ["one", " two", "three"]), (b"x\n" * 500, ["x"] * 500)],
)
async def test_lines(typed: bytes, lines: list[str]) -> None:
    read, write = os.pipe()
    os.write(write, typed)
    os.close(write)
    try:
        assert [line async for line in lines_of(read)] == lines
    finally:
        os.close(read)


async def test_lines_before_one_that_is_too_long() -> None:
    read, write = os.pipe()
    longest = b"x" * LONGEST_LINE
    typing = asyncio.create_task(asyncio.to_thread(type_and_leave, write, longest + b"\n" + longest + b"x"))
    lines = lines_of(read)
    try:
        assert await anext(lines) == longest.decode()
        with pytest.raises(BrokenInput, match="more than 65536 bytes"):
            await anext(lines)
        await typing
    finally:
        os.close(read)


def type_and_leave(descriptor: int, typed: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(typed)


async def test_lines_of_what_cannot_be_read(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(BrokenInput, match="Is a directory"):
            await asyncio.wait_for(anext(lines_of(folder)), 10)
    finally:
        os.close(folder)


def test_nobody_takes_the_other_lines() -> None:
    """As when a message in the middle of a pipe is refused."""
    first_only = """
import asyncio, threading
from chat_local.client.lines import lines_of

async def main():
    async for line in lines_of(0):
        return print(line)

asyncio.run(main())
for thread in threading.enumerate():
    thread is threading.main_thread() or thread.join(10)
"""
    command = [sys.executable, "-c", first_only]
    ended = subprocess.run(command, input=b"x\n" * 500, capture_output=True, check=True, timeout=60)
    assert (ended.stdout, ended.stderr) == (b"x\n", b"")
