"""A process that is stopped in order, as for a new version: nobody who speaks HTTP meets a closed door."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx2
import pytest
from chat_shared.testing import NewRoom, NewUser, User, eventually

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

WAIT_SECONDS = 4.0
"""More than Traefik's health check takes to notice."""
AT_ONCE = 4


@pytest.fixture
async def leaving(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """The second messaging process, which a test may stop; it takes a while to go."""
    process = own_stack.process("messaging-2")
    await process.restart(extra_env={"CHAT_DRAIN_WAIT_SECONDS": str(WAIT_SECONDS)})
    await process.wait_ready()
    process.auto_restart = False
    yield process
    process.auto_restart = True
    await process.restart()
    await process.wait_ready()


async def test_requests_go_on_while_a_process_leaves(
    leaving: "ManagedProcess", chat_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    """Writes and reads over REST, on connections that stay open, through Traefik."""
    alice = await new_user()
    room = await new_room(alice)
    path = f"{chat_url}/api/v1/room/{room['id']}/messages"
    outcomes: Counter[tuple[str, int]] = Counter()
    stopped = asyncio.Event()

    async def talk(user: User) -> None:
        headers = {"Authorization": f"Bearer {user.access_token}"}
        async with httpx2.AsyncClient(headers=headers) as http:
            while not stopped.is_set():
                answer = await http.post(path, json={"content": "still here"})
                outcomes["POST", answer.status_code] += 1
                answer = await http.get(path)
                outcomes["GET", answer.status_code] += 1

    talking = [asyncio.create_task(talk(alice)) for _ in range(AT_ONCE)]
    try:
        await eventually(lambda: outcomes.total() > 20)
        leaving.kill(signal.SIGTERM)
        async with asyncio.timeout(WAIT_SECONDS + 20):
            await leaving.wait_exit()
        seen = outcomes.total()
        await eventually(lambda: outcomes.total() > seen + 20)
    finally:
        stopped.set()
        await asyncio.gather(*talking)
    assert set(outcomes) == {("POST", 201), ("GET", 200)}, outcomes
