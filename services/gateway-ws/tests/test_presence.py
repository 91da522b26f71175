"""What a gateway tells of its users, and when, with Redis as it is and neighbours that may be away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from chat_gateway_ws import presence, presence_store
from chat_gateway_ws.clients import AuthClient, RoomsClient
from chat_gateway_ws.connections import Connection, Connections, TokenBucket
from chat_gateway_ws.presence import COLLECT_SECONDS, Presence
from chat_gateway_ws.presence_store import BATCH, Change, PresenceRules, PresenceStore, Synced
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_shared.contracts.internal import UserRoom
from chat_shared.http import ServiceClient
from chat_shared.testing import eventually
from chat_shared.tokens import Identity
from redis.asyncio import Redis

Heard = list[dict[str, list[str]]]
NewGateway = Callable[..., Awaitable["Gateway"]]

ROOM, LARGE_ROOM = "2" * 24, "3" * 24
MAX_MEMBERS = 200
RULES = PresenceRules(lease=1, grace=0.2, window=60)
DEADLINE_SECONDS = 15.0


def user(number: int) -> str:
    return f"{number:024x}"


def membership(room_id: str = ROOM, member_count: int = 2) -> UserRoom:
    return UserRoom(room_id=room_id, role="member", rev=1, member_count=member_count)


class Neighbour:
    """Rooms and auth: everybody is in `ROOM`, and last-seen times are kept."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked = 0
        self.last_seen: list[str] = []

    async def rooms(self, _request: web.Request) -> web.Response:
        self._require_here("rooms")
        return web.json_response({"rooms": [membership().model_dump(mode="json", by_alias=True)]})

    async def rooms_of_many(self, request: web.Request) -> web.Response:
        self._require_here("rooms")
        room = membership().model_dump(mode="json", by_alias=True)
        return web.json_response({"rooms": {user: [room] for user in (await request.json())["userIds"]}})

    async def store_last_seen(self, request: web.Request) -> web.Response:
        self._require_here("auth")
        self.last_seen += [item["userId"] for item in (await request.json())["users"]]
        return web.Response(status=204)

    def _require_here(self, name: str) -> None:
        self.asked += 1
        if name in self.away:
            raise web.HTTPServiceUnavailable


class Gateway:
    """Sockets, and the presence of their users."""

    def __init__(self, redis: Redis, http: ServiceClient, name: str, rules: PresenceRules) -> None:
        self.connections = Connections()
        self.presence = Presence(
            redis,
            self.connections,
            RoomsClient(http),
            AuthClient(http),
            gateway=name,
            rules=rules,
            max_members=MAX_MEMBERS,
        )

    def come(self, user_id: str, *rooms: UserRoom) -> None:
        identity = Identity(user_id, f"session of {user_id}", 0)
        limits, bucket = SendLimits(100, 100_000), TokenBucket(1, 1)
        local = self.connections.add(
            Connection(user_id, identity, SendQueue(), limits, bucket, lambda *_: None)
        )
        for room in rooms or [membership()]:
            self.connections.joined(local, room)
        self.presence.changed(user_id)

    def go(self, user_id: str) -> None:
        self.connections.remove(user_id)
        self.presence.changed(user_id)


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


@pytest.fixture
async def new_gateway(redis: Redis, neighbour: Neighbour) -> AsyncIterator[NewGateway]:
    """Makes and starts a gateway; all of them ask the same neighbour."""
    app = web.Application()
    app.router.add_get("/internal/v1/users/{user_id}/rooms", neighbour.rooms)
    app.router.add_post("/internal/v1/users/rooms", neighbour.rooms_of_many)
    app.router.add_post("/internal/v1/users/last-seen", neighbour.store_last_seen)
    numbers = count(1)
    async with AsyncExitStack() as running:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        running.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        http = ServiceClient("neighbour", [f"http://127.0.0.1:{runner.addresses[0][1]}"], "token")
        await http.start()
        running.push_async_callback(http.stop)

        async def make(rules: PresenceRules = RULES) -> Gateway:
            gateway = Gateway(redis, http, f"gateway-{next(numbers)}", rules)
            await gateway.presence.start()
            running.push_async_callback(gateway.presence.stop)
            await asyncio.sleep(0)  # its first refresh comes before its first user
            return gateway

        yield make


def told(heard: Heard, event: str) -> list[str]:
    return [user_id for message in heard for user_id in message.get(event, [])]


async def until_told(heard: Heard, event: str, *user_ids: str) -> None:
    await eventually(lambda: len(told(heard, event)) >= len(user_ids), DEADLINE_SECONDS, f"{event}: {heard}")
    assert sorted(told(heard, event)) == sorted(user_ids)


async def test_many_users_who_toggle_are_told_of_together(
    new_gateway: NewGateway, redis: Redis, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither calls nor tasks grow with the changes: a patrol looks at one batch at a time."""
    batches: list[int] = []
    sync = PresenceStore.sync

    async def counted(store: PresenceStore, changes: list[Change], **options: Any) -> Synced:
        batches.append(len(changes))
        return await sync(store, changes, **options)

    monkeypatch.setattr(PresenceStore, "sync", counted)
    gateway = await new_gateway()
    users = [user(number) for number in range(500)]
    tasks = len(asyncio.all_tasks())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for turn in range(21):
        for user_id in users:
            gateway.go(user_id) if turn % 2 else gateway.come(user_id)
        # What this test's own neighbour does for a call is a task of this process, too.
        assert len(asyncio.all_tasks()) <= tasks + BATCH + 16
        await asyncio.sleep(COLLECT_SECONDS / 2)
    await until_told(heard, "user-online", *users)
    assert max(batches) == BATCH
    assert len(batches) <= (loop.time() - began) / COLLECT_SECONDS + 5

    async def everybody_is_held() -> bool:
        return await redis.scard("presence:gateway:gateway-1") == len(users)

    await eventually(everybody_is_held)  # the last turn may be on its way


async def test_large_rooms_hear_nothing(new_gateway: NewGateway, heard: Heard) -> None:
    gateway = await new_gateway()
    gateway.come(user(1), membership(member_count=MAX_MEMBERS + 1), membership(LARGE_ROOM, 2))
    gateway.come(user(2), membership(member_count=MAX_MEMBERS))
    await until_told(heard, "user-online", user(2))


async def test_who_comes_and_goes_within_a_moment_is_no_news(new_gateway: NewGateway, heard: Heard) -> None:
    gateway = await new_gateway()
    gateway.come(user(1))
    gateway.go(user(1))
    gateway.come(user(2))
    await until_told(heard, "user-online", user(2))


async def test_rooms_is_away(
    new_gateway: NewGateway, neighbour: Neighbour, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has gone is announced when somebody knows their rooms again."""
    monkeypatch.setattr(presence_store, "CLAIM_SECONDS", 0.3)
    gateway = await new_gateway()
    gateway.come(user(1))
    await until_told(heard, "user-online", user(1))
    neighbour.away = {"rooms"}
    gateway.go(user(1))
    await eventually(lambda: neighbour.asked, DEADLINE_SECONDS, "a look at the rooms")
    neighbour.away = set()
    await until_told(heard, "user-offline", user(1))


async def test_auth_is_away(new_gateway: NewGateway, neighbour: Neighbour, heard: Heard) -> None:
    """Moments wait until they are stored, also when the gateway that announced them is gone."""
    gateway = await new_gateway()
    gateway.come(user(1))
    await until_told(heard, "user-online", user(1))
    neighbour.away = {"auth"}
    gateway.go(user(1))
    await until_told(heard, "user-offline", user(1))
    await gateway.presence.stop()
    neighbour.away = set()
    await new_gateway()
    await eventually(lambda: neighbour.last_seen == [user(1)], DEADLINE_SECONDS, "last-seen time stored")


async def test_a_gateway_that_stops_leaves_its_users_their_grace(
    new_gateway: NewGateway, redis: Redis, heard: Heard
) -> None:
    stopping, other = await new_gateway(), await new_gateway()
    for number in (1, 2):
        stopping.come(user(number))
    await until_told(heard, "user-online", user(1), user(2))
    await stopping.presence.stop()
    other.come(user(1))
    await until_told(heard, "user-offline", user(2))

    async def forgotten() -> bool:
        return await redis.zrange("presence:gateways", 0, -1) == [b"gateway-2"]

    await eventually(forgotten, DEADLINE_SECONDS, "the lease of the stopped gateway is gone")
    assert told(heard, "user-offline") == [user(2)]


async def test_after_trouble_of_all_nobody_is_taken_for_lost(
    new_gateway: NewGateway, redis: Redis, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lease ended at once, as after Redis was away: who is back first does not judge the others."""
    monkeypatch.setattr(presence, "PATROL_SECONDS", 0.05)
    rules = PresenceRules(lease=1, grace=0, window=60)
    gateways = [await new_gateway(rules) for _ in range(3)]
    for number, gateway in enumerate(gateways):
        gateway.come(user(number))
    await until_told(heard, "user-online", *map(user, range(3)))
    await asyncio.sleep(rules.lease)  # by now all of them look after the others
    ended = {f"gateway-{number}": 1.0 for number in (1, 2, 3)}
    await redis.zadd("presence:gateways", ended)
    gateways[0].come(user(4))  # the first to be heard of again
    await until_told(heard, "user-online", *map(user, (0, 1, 2, 4)))
    gateways[0].go(user(4))
    await until_told(heard, "user-offline", user(4))


async def test_redis_forgot_everything(new_gateway: NewGateway, redis: Redis, heard: Heard) -> None:
    gateways = [await new_gateway() for _ in range(2)]
    for number, gateway in enumerate(gateways):
        gateway.come(user(number))
    await until_told(heard, "user-online", user(0), user(1))
    await redis.flushdb()

    async def rebuilt() -> bool:
        return await redis.exists(*(f"presence:user:{user(number)}" for number in (0, 1))) == 2

    await eventually(rebuilt, RULES.lease, "both users are held again")
    gateways[0].come(user(2))
    gateways[1].go(user(1))
    await until_told(heard, "user-offline", user(1))
    assert sorted(told(heard, "user-online")) == [user(0), user(1), user(2)]
