"""Who is online: leases of gateways in Redis, and the events that follow from them.

A gateway renews one entry of `presence:gateways`; the users with sockets on it hang off that entry. A
user is online while any live gateway holds a connection of theirs, so a crashed gateway's users go
offline when its lease ends, without a heartbeat per connection.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from chat_shared.contracts.base import utc_now
from chat_shared.contracts.internal import LastSeen, UserRoom
from chat_shared.contracts.sockets import RoomPresence
from chat_shared.errors import ChatError
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway_ws.clients import AuthClient, RoomsClient
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.room_feeds import RoomFeeds
from chat_gateway_ws.wire import event_frame

log = get_logger(__name__)

GATEWAYS_KEY = "presence:gateways"
LEASE_SECONDS = 15
RENEW_SECONDS = 4.0
SWEEP_SECONDS = 5.0
SWEEP_LOCK_SECONDS = 30

#: Tells whether any live gateway other than ARGV[1] holds the user, after `ARGV[3]` (add or remove) was done.
_CHANGE = """
local others = false
for _, gateway in ipairs(redis.call('HKEYS', KEYS[1])) do
  if gateway ~= ARGV[1] then
    local lease = redis.call('ZSCORE', KEYS[2], gateway)
    if lease and tonumber(lease) > tonumber(ARGV[2]) then others = true end
  end
end
local mine = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if ARGV[3] == 'add' then
  redis.call('HSET', KEYS[1], ARGV[1], 1)
  redis.call('SADD', KEYS[3], ARGV[4])
  return (others or mine) and 1 or 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[4])
return (others or not mine) and 1 or 0
"""


def user_key(user_id: str) -> str:
    """Return the key of the hash of gateways that hold a connection of this user."""
    return f"presence:user:{user_id}"


def gateway_key(gateway: str) -> str:
    """Return the key of the set of users with a connection on this gateway."""
    return f"presence:gateway:{gateway}"


class Presence:
    """Keeps this gateway's users online and says so in their rooms."""

    def __init__(
        self,
        redis: Redis,
        connections: Connections,
        feeds: RoomFeeds,
        rooms: RoomsClient,
        auth: AuthClient,
        *,
        gateway: str,
        grace_seconds: float,
        max_members: int,
    ) -> None:
        """Args:
        gateway: a name that no other process has, ever.
        grace_seconds: how long a user may be away before others are told.
        max_members: larger rooms get no presence events; ask for a user's profile instead.
        """
        self._redis = redis
        self._connections = connections
        self._feeds = feeds
        self._rooms = rooms
        self._auth = auth
        self._gateway = gateway
        self._grace_seconds = grace_seconds
        self._max_members = max_members
        self._change = redis.register_script(_CHANGE)
        self._held: set[str] = set()
        """Users who are on this gateway, or left it less than the grace period ago."""
        self._unsaved: set[str] = set()
        """Those of them whom Redis could not be told of."""
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Hold the lease and look after the leases of others."""
        self._tasks.spawn(
            run_forever(self._renew, name="presence-lease", pause=RENEW_SECONDS), name="presence-lease"
        )
        self._tasks.spawn(
            run_forever(self._sweep, name="presence-sweep", pause=SWEEP_SECONDS), name="presence-sweep"
        )

    async def stop(self) -> None:
        """Let the lease end now: whoever does not reconnect elsewhere goes offline with the next sweep."""
        await self._tasks.cancel()
        try:
            await self._redis.zadd(GATEWAYS_KEY, {self._gateway: time.time() + self._grace_seconds})
        except (RedisError, OSError, TimeoutError):
            log.warning("presence lease ends by itself")

    def connected(self, user_id: str) -> None:
        """A socket of this user opened here."""
        if user_id not in self._held:
            self._held.add(user_id)
            self._tasks.spawn(self._come(user_id), name="presence-online")

    def disconnected(self, user_id: str, rooms: Iterable[UserRoom]) -> None:
        """The user's last socket here closed; `rooms` is where they were seen."""
        self._tasks.spawn(self._go(user_id, list(rooms)), name="presence-offline")

    async def _come(self, user_id: str) -> None:
        was_online = await self._try_change(user_id, self._gateway, "add")
        if was_online is None:
            self._unsaved.add(user_id)
        user = self._connections.user(user_id)
        if was_online is False and user is not None:
            await self._announce("user-online", user_id, user.rooms.values())

    async def _go(self, user_id: str, rooms: list[UserRoom]) -> None:
        await asyncio.sleep(self._grace_seconds)
        if self._connections.user(user_id) is not None or user_id not in self._held:
            return
        self._held.discard(user_id)
        still_online = await self._try_change(user_id, self._gateway, "remove")
        if user_id in self._held:
            # The user came back while we removed them, and the removal may have been the later one.
            await self._try_change(user_id, self._gateway, "add")
        elif still_online is False:
            await self._gone(user_id, rooms)

    async def _gone(self, user_id: str, rooms: Iterable[UserRoom]) -> None:
        await self._announce("user-offline", user_id, rooms)
        try:
            await self._auth.report_last_seen([LastSeen(user_id=user_id, last_seen=utc_now())])
        except ChatError as error:
            log.warning("last-seen time not stored", error=error.code)

    async def _announce(self, event: str, user_id: str, rooms: Iterable[UserRoom]) -> None:
        frames = {
            room.room_id: event_frame(event, RoomPresence(user_id=user_id, room_id=room.room_id))
            for room in rooms
            if room.member_count <= self._max_members
        }
        await self._feeds.publish(frames)

    async def _try_change(self, user_id: str, gateway: str, change: str) -> bool | None:
        """Add or remove a user at a gateway; tell whether they are online besides, None when unknown."""
        try:
            online = await self._change(
                keys=[user_key(user_id), GATEWAYS_KEY, gateway_key(gateway)],
                args=[gateway, time.time(), change, user_id],
            )
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("presence not stored", error=repr(error)[:100])
            return None
        return bool(online)

    async def _renew(self) -> None:
        """Renew the lease; put back what is ours when Redis has forgotten it."""
        known = await self._redis.zscore(GATEWAYS_KEY, self._gateway)
        await self._redis.zadd(GATEWAYS_KEY, {self._gateway: time.time() + LEASE_SECONDS})
        unsaved, self._unsaved = self._unsaved & self._held, set()
        for user_id in unsaved:
            await self._come(user_id)
        if known is None:
            for user_id in self._held - unsaved:
                await self._try_change(user_id, self._gateway, "add")

    async def _sweep(self) -> None:
        """Take over the users of gateways whose lease has ended; a lock keeps two sweepers apart."""
        for name in await self._redis.zrangebyscore(GATEWAYS_KEY, "-inf", time.time()):
            gateway = _text(name)
            lock = f"presence:sweep:{gateway}"
            if gateway != self._gateway and await self._redis.set(
                lock, self._gateway, nx=True, ex=SWEEP_LOCK_SECONDS
            ):
                await self._sweep_gateway(gateway)
                await self._redis.delete(lock)

    async def _sweep_gateway(self, gateway: str) -> None:
        for member in await self._redis.smembers(gateway_key(gateway)):
            user_id = _text(member)
            if await self._try_change(user_id, gateway, "remove") is False:
                await self._gone(user_id, await self._rooms.of_user(user_id))
        await self._redis.delete(gateway_key(gateway))
        await self._redis.zrem(GATEWAYS_KEY, gateway)
        log.info("presence of a lost gateway swept", gateway=gateway)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
