"""Whatever is killed, an acknowledged message stays, once and in its place."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from chat_shared.instances import Instances
from chat_shared.testing import ApiClient, NewRoom, NewUser, User, eventually
from chat_shared.testing.careful_client import CarefulClient
from chat_shared.testing.delivery_checker import check_delivery
from chat_shared.testing.room_log import read_log

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

ROOMS_PER_HOME = 3
CLIENTS = 6
HEAL_SECONDS = 30
FROZEN_SECONDS = 25
"""More than the time that a send has until its outcome is unknown, and less than three times that."""


class Load:
    """Careful clients that talk in several rooms until told to stop."""

    def __init__(
        self, api: ApiClient, owner: User, room_ids: list[str], clients: list[CarefulClient]
    ) -> None:
        self.clients = clients
        self._api = api
        self._owner = owner
        self._room_ids = room_ids
        self._stopping = asyncio.Event()
        self._talking: list[asyncio.Task[None]] = []
        self.acked = 0

    def begin(self) -> None:
        self._talking = [asyncio.create_task(self._talk(number)) for number in range(len(self.clients))]

    async def _talk(self, number: int) -> None:
        client, turn = self.clients[number], 0
        while not self._stopping.is_set():
            room_id = self._room_ids[(number + turn) % len(self._room_ids)]
            message = await client.send(room_id, f"client {number}, turn {turn}")
            assert message.refused is None, message
            self.acked += 1
            turn += 1

    async def until_acked(self, count: int, timeout: float = 60) -> None:
        """Wait until `count` more messages were acknowledged."""
        target = self.acked + count
        await eventually(lambda: self.acked >= target, timeout, f"{count} more messages acknowledged")

    async def finish(self) -> None:
        """Let every message end, let every client catch up, and compare all histories with the log."""
        self._stopping.set()
        async with asyncio.timeout(HEAL_SECONDS):
            await asyncio.gather(*self._talking)
        log: dict[str, list[dict[str, Any]]] = {
            room_id: await read_log(self._api, self._owner, room_id) for room_id in self._room_ids
        }
        heads = {room_id: len(entries) for room_id, entries in log.items()}
        await asyncio.gather(*(client.wait_applied(heads, timeout=15) for client in self.clients))
        check_delivery([client.history for client in self.clients], log).require_clean()


async def rooms_of_every_home(stack: "Stack", new_room: NewRoom, users: list[User]) -> list[str]:
    """As many rooms at home with each messaging process: of six at random, one process has none too often."""
    urls = [process.url for process in stack.instances("messaging")]
    homes, by_home = Instances(urls), dict[str, list[str]]((url, []) for url in urls)
    while any(len(room_ids) < ROOMS_PER_HOME for room_ids in by_home.values()):
        room_id = (await new_room(users[0], *users[1:]))["id"]
        by_home[homes.home(room_id)].append(room_id)
    return [room_id for room_ids in by_home.values() for room_id in room_ids[:ROOMS_PER_HOME]]


@asynccontextmanager
async def load(
    stack: "Stack", api: ApiClient, url: str, new_user: NewUser, new_room: NewRoom
) -> AsyncIterator[Load]:
    users = [await new_user() for _ in range(CLIENTS)]
    room_ids = await rooms_of_every_home(stack, new_room, users)
    clients = [CarefulClient(url, user.id, user.access_token, room_ids) for user in users]
    try:
        await asyncio.gather(*(client.start() for client in clients))
        yield Load(api, users[0], room_ids, clients)
    finally:
        await asyncio.gather(*(client.stop() for client in clients))


@pytest.fixture
async def restored(own_stack: "Stack") -> AsyncIterator["Stack"]:
    """The stack, put in order again after a test that breaks it."""
    yield own_stack
    for service in ("messaging", "gateway-ws"):
        for process in own_stack.instances(service):
            process.auto_restart = True
            if not process.is_running:
                await process.restart()
    for service in ("messaging", "gateway-ws"):
        for process in own_stack.instances(service):
            await process.wait_ready(30)


async def crash_at(process: "ManagedProcess", point: str) -> None:
    """Restart a process so that it ends itself the second time it passes `point`."""
    await process.restart(extra_env={"CHAT_CRASH_AT": f"{point}:2"})
    await process.wait_ready(30)
    process.auto_restart = False


@pytest.mark.parametrize(
    "point",
    [
        "before_seal",
        "before_insert",
        "after_insert",
        "before_answer",
        "before_fanout",
        "before_confirm",
        "before_flag",
    ],
)
async def test_messaging_dies_on_the_way_of_a_message(
    restored: "Stack", api: ApiClient, chat_url: str, new_user: NewUser, new_room: NewRoom, point: str
) -> None:
    victim = restored.process("messaging-1")
    await crash_at(victim, point)
    async with load(restored, api, chat_url, new_user, new_room) as running:
        running.begin()
        async with asyncio.timeout(30):
            await victim.wait_exit()
        await running.until_acked(60)
        await victim.restart()
        await victim.wait_ready(30)
        await running.until_acked(60)
        await running.finish()


async def test_a_gateway_is_killed_under_load(
    restored: "Stack", api: ApiClient, chat_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    async with load(restored, api, chat_url, new_user, new_room) as running:
        running.begin()
        for name in ("gateway-ws-1", "gateway-ws-2"):
            await running.until_acked(100)
            restored.process(name).kill()
            await running.until_acked(100)
            await restored.process(name).wait_ready(30)
        assert sum(client.connects for client in running.clients) > CLIENTS
        await running.finish()


async def test_a_messaging_process_is_frozen_under_load(
    restored: "Stack", api: ApiClient, chat_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    """Sends go on elsewhere after one deadline; what the thawed process inserts late changes nothing."""
    victim = restored.process("messaging-1")
    async with load(restored, api, chat_url, new_user, new_room) as running:
        running.begin()
        await running.until_acked(100)
        victim.kill(signal.SIGSTOP)
        try:
            await running.until_acked(200, timeout=FROZEN_SECONDS)
        finally:
            victim.kill(signal.SIGCONT)
        await running.until_acked(100)
        sent = [message for client in running.clients for message in client.history.sent]
        assert any(message.attempts > 1 for message in sent), "nothing was under way at the frozen process"
        await running.finish()


async def test_both_messaging_processes_are_killed_under_load(
    restored: "Stack", api: ApiClient, chat_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    async with load(restored, api, chat_url, new_user, new_room) as running:
        running.begin()
        for name in ("messaging-1", "messaging-2"):
            await running.until_acked(100)
            restored.process(name).kill()
            await running.until_acked(100)
            await restored.process(name).wait_ready(30)
        await running.finish()


async def test_every_gateway_and_messaging_process_is_restarted_under_load(
    restored: "Stack", api: ApiClient, chat_url: str, new_user: NewUser, new_room: NewRoom
) -> None:
    """A rolling restart: each process ends in order, one after the other."""
    async with load(restored, api, chat_url, new_user, new_room) as running:
        running.begin()
        for name in ("gateway-ws-1", "messaging-1", "gateway-ws-2", "messaging-2"):
            await running.until_acked(50)
            await restored.process(name).restart()
            await restored.process(name).wait_ready(30)
        await running.until_acked(50)
        await running.finish()
