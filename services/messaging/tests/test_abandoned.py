"""A process is killed inside the transaction in which it follows a rival; the others go on soon."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bson import ObjectId
from chat_messaging.crash_points import KILLED
from chat_shared.testing import eventually

from .test_appender import Process, require_dense, stored

if TYPE_CHECKING:
    from chat_local.stack import Stack

DYING = Path(__file__).with_name("dying_rival.py")
SOON_SECONDS = 15
"""MongoDB itself gives up a transaction after 60."""


@pytest.fixture
async def survivor(stack: "Stack") -> AsyncIterator[Process]:
    survivor = await Process(stack.mongo_url, f"test_abandoned_{secrets.token_hex(4)}").start()
    yield survivor
    await survivor.stop()


async def die_inside_a_transaction(stack: "Stack", survivor: Process, room_id: str) -> None:
    database = survivor.mongo.database.name
    dying = await asyncio.create_subprocess_exec(
        sys.executable, str(DYING), stack.mongo_url, database, room_id
    )
    async with asyncio.timeout(60):
        assert await dying.wait() == KILLED


async def require_sends_soon(survivor: Process, room_id: str) -> None:
    async def sent() -> bool:
        result = await survivor.send(room_id, "after the death")
        assert result.error is None or result.error.retryable
        return result.error is None

    await eventually(sent, timeout=SOON_SECONDS)


async def test_one_who_waits_for_an_insert(stack: "Stack", survivor: Process) -> None:
    room_id = str(ObjectId())
    await die_inside_a_transaction(stack, survivor, room_id)
    async with asyncio.timeout(SOON_SECONDS):
        result = await survivor.send(room_id)
    assert result.error is None, "not within one try"
    require_dense(await stored(survivor, room_id), 3)


async def test_one_who_loses_transactions(stack: "Stack", survivor: Process) -> None:
    room_id = str(ObjectId())
    await survivor.send(room_id)  # the two rivals go on behind it, so its head is old
    await die_inside_a_transaction(stack, survivor, room_id)
    await require_sends_soon(survivor, room_id)
    require_dense(await stored(survivor, room_id), 4)
