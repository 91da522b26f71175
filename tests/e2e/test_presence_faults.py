"""Presence while gateways and Redis break: everybody goes offline who is away, once, and nobody else does."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from chat_shared.redis import connect_redis
from chat_shared.testing import (
    ApiClient,
    Connect,
    NewRoom,
    NewUser,
    SocketClient,
    User,
    eventually,
    is_timestamp,
)
from redis.asyncio import Redis

if TYPE_CHECKING:
    from chat_local.process import ManagedProcess
    from chat_local.stack import Stack

LEASE_SECONDS = 3.0
WINDOW_SECONDS = 5.0
"""As the test run sets them."""
HEAL_SECONDS = 25.0


@pytest.fixture
async def victim(own_stack: "Stack") -> AsyncIterator["ManagedProcess"]:
    """The second gateway, for a test to break: it stays down when it ends, and is put in order afterwards."""
    gateway = own_stack.process("gateway-ws-2")
    gateway.auto_restart = False
    yield gateway
    if gateway.is_running:
        gateway.kill(signal.SIGCONT)
    gateway.auto_restart = True
    await gateway.restart()
    await gateway.wait_ready(60)


@pytest.fixture
async def redis(own_stack: "Stack") -> AsyncIterator[Redis]:
    client = connect_redis(own_stack.redis_url)
    yield client
    await client.aclose()


class Watched:
    """What one member of a room was told of another."""

    def __init__(self, watching: SocketClient, user: User) -> None:
        self._watching = watching
        self._user = user

    def news(self) -> list[str]:
        """Return the events so far."""
        return [
            name
            for name, payload in self._watching.received
            if name in ("user-online", "user-offline") and payload["userId"] == self._user.id
        ]

    async def until(self, *news: str, timeout: float = HEAL_SECONDS) -> None:
        """Wait until exactly this was told."""
        await eventually(lambda: len(self.news()) >= len(news), timeout, f"{news}, but {self.news()}")
        assert self.news() == list(news)


async def is_online(api: ApiClient, user: User) -> bool:
    return bool((await api.data("GET", f"/users/{user.id}", user))["isOnline"])


async def leases(redis: Redis) -> dict[bytes, float]:
    """Return when the lease of each gateway ends."""
    found: Any = await redis.zrange("presence:gateways", 0, -1, withscores=True)
    return dict(found)


async def come_and_go(connect: Connect, watching: SocketClient, user: User) -> None:
    """Let another user come and go: whatever was to be told before that has been told afterwards."""
    seen = Watched(watching, user)
    socket = await connect(user, gateway=0)
    await seen.until("user-online")
    await socket.disconnect()
    await seen.until("user-online", "user-offline")


async def test_killed(
    victim: "ManagedProcess",
    api: ApiClient,
    redis: Redis,
    connect: Connect,
    new_room: NewRoom,
    new_user: NewUser,
) -> None:
    """Who does not come back goes offline; who comes back elsewhere never was."""
    watcher, lost, mover = await new_user(), await new_user(), await new_user()
    await new_room(watcher, lost, mover)
    watching = await connect(watcher, gateway=0)
    for user in (lost, mover):
        await connect(user, gateway=1)
        await Watched(watching, user).until("user-online")
    victim.kill()
    await connect(mover, gateway=0)
    await Watched(watching, lost).until("user-online", "user-offline")

    async def stored() -> bool:
        profile = await api.data("GET", f"/users/{lost.id}", watcher)
        return profile["isOnline"] is False and is_timestamp(profile["lastSeen"])

    await eventually(stored, what="the profile says offline, and since when")
    assert Watched(watching, mover).news() == ["user-online"]
    assert await is_online(api, mover)
    [living] = await leases(redis)
    assert await redis.keys("presence:gateway:*") == [b"presence:gateway:" + living]


async def test_frozen_and_back(
    victim: "ManagedProcess",
    api: ApiClient,
    redis: Redis,
    connect: Connect,
    new_room: NewRoom,
    new_user: NewUser,
) -> None:
    """Its users go offline, and those who are still there come online again; nothing old is told."""
    watcher, stayer, leaver, mover, other = [await new_user() for _ in range(5)]
    await new_room(watcher, stayer, leaver, mover, other)
    watching = await connect(watcher, gateway=0)
    sockets = {user.id: await connect(user, gateway=1) for user in (stayer, leaver, mover)}
    for user in (stayer, leaver, mover):
        await Watched(watching, user).until("user-online")
    victim.kill(signal.SIGSTOP)
    for user in (leaver, mover):
        sockets[user.id].cut()
    await connect(mover, gateway=0)
    for user in (stayer, leaver):
        await Watched(watching, user).until("user-online", "user-offline")
    victim.kill(signal.SIGCONT)

    await Watched(watching, stayer).until("user-online", "user-offline", "user-online")
    assert sockets[stayer.id].connected
    assert await is_online(api, stayer)
    await come_and_go(connect, watching, other)
    assert Watched(watching, leaver).news() == ["user-online", "user-offline"]
    assert Watched(watching, mover).news() == ["user-online"]
    renewed = await leases(redis)
    assert len(renewed) == 2

    async def goes_on() -> bool:
        now = await leases(redis)
        return all(now[name] > lease for name, lease in renewed.items())

    await eventually(goes_on, what="both leases are renewed")


async def test_stopped_in_order(
    victim: "ManagedProcess", api: ApiClient, connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    """Who follows the call to reconnect is never offline; who does not, is once."""
    watcher, lost, mover = await new_user(), await new_user(), await new_user()
    await new_room(watcher, lost, mover)
    watching = await connect(watcher, gateway=0)
    sockets = []
    for user in (lost, mover):
        sockets.append(await connect(user, gateway=1))
        await Watched(watching, user).until("user-online")
    stopping = asyncio.create_task(victim.stop())
    await sockets[1].wait_for("drain")
    await connect(mover, gateway=0)
    await Watched(watching, lost).until("user-online", "user-offline")
    await stopping
    assert Watched(watching, mover).news() == ["user-online"]
    assert await is_online(api, mover)


async def test_redis_comes_back_empty(
    own_stack: "Stack", api: ApiClient, redis: Redis, connect: Connect, new_room: NewRoom, new_user: NewUser
) -> None:
    """Each gateway tells it of its users again; only who came or went meanwhile is news."""
    watcher, stayer, leaver, comer, other = [await new_user() for _ in range(5)]
    await new_room(watcher, stayer, leaver, comer, other)
    watching = await connect(watcher, gateway=0)
    await connect(stayer, gateway=1)
    leaving = await connect(leaver, gateway=1)
    for user in (stayer, leaver):
        await Watched(watching, user).until("user-online")
    process = own_stack.process("redis")
    process.auto_restart = False
    process.kill()
    await process.wait_exit()
    try:
        await leaving.disconnect()
        coming = await connect(comer, gateway=0)
    finally:
        process.auto_restart = True
        await process.restart()
        await process.wait_ready(30)

    async def rebuilt() -> bool:
        return all([await is_online(api, user) for user in (watcher, stayer, comer)])

    await eventually(rebuilt, 10, "everybody who is connected is online again")
    await Watched(watching, comer).until("user-online")
    await Watched(watching, leaver).until("user-online", "user-offline")
    await come_and_go(connect, watching, other)
    assert Watched(watching, stayer).news() == ["user-online"]
    assert Watched(watching, watcher).news() == ["user-online"]
    assert coming.connected


@pytest.mark.usefixtures("own_stack")
async def test_flapping(api: ApiClient, connect: Connect, new_room: NewRoom, new_user: NewUser) -> None:
    """Few changes are told, the last one always; messages go on beside that."""
    watcher, *flappers = [await new_user() for _ in range(12)]
    room = await new_room(watcher, *flappers)
    watching = await connect(watcher, gateway=0)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def flap(user: User, number: int) -> bool:
        while loop.time() - began < WINDOW_SECONDS * 2:
            socket = await connect(user, gateway=number)
            await asyncio.sleep(0.3)
            await socket.disconnect()
            await asyncio.sleep(1.0 + number / 20)  # longer than the grace
            number += 1
        if number % 2:
            await connect(user, gateway=number)
        return bool(number % 2)

    flapping = [asyncio.create_task(flap(user, number)) for number, user in enumerate(flappers)]
    sent = 0
    while not all(task.done() for task in flapping):
        sent += 1
        await watching.done("send_message", {"roomId": room["id"], "content": f"message {sent}"})
        await asyncio.sleep(0.1)
    stay = [task.result() for task in flapping]
    assert set(stay) == {True, False}

    def settled() -> bool:
        last = [Watched(watching, user).news()[-1] for user in flappers]
        return last == ["user-online" if online else "user-offline" for online in stay]

    await eventually(settled, WINDOW_SECONDS * 2 + LEASE_SECONDS, "the last state of everybody was told")
    windows = (loop.time() - began) // WINDOW_SECONDS + 1
    for user in flappers:
        assert 3 <= len(Watched(watching, user).news()) <= 2 * windows
    assert len(watching.events("new-message")) == sent
    assert [await is_online(api, user) for user in flappers] == stay


async def test_many_come_at_once(connect: Connect, new_room: NewRoom, new_user: NewUser) -> None:
    """Everybody is told of everybody who comes later, once, across gateways."""
    users = [await new_user() for _ in range(24)]
    await new_room(users[0], *users[1:])
    watching = [await connect(users[0], gateway=gateway) for gateway in (0, 1)]
    await asyncio.gather(*(connect(user, gateway=number) for number, user in enumerate(users[1:])))

    others = sorted(user.id for user in users[1:])
    for socket in watching:
        told = await socket.wait_for_many("user-online", len(others), lambda event: event["userId"] in others)
        assert sorted(event["userId"] for event in told) == others
