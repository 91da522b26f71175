"""Who is online: tells Redis of this gateway's users, and rooms of what follows from it.

Nothing here acts on what happened; all of it acts on what is so. A user whose sockets came or went is marked,
and what is true of them when their turn comes is what Redis hears: users who toggle are told of once per
batch, and a process that was frozen has nothing old to say.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from chat_shared.contracts.internal import LastSeen, UserRoom
from chat_shared.errors import ChatError
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway_ws.clients import AuthClient, RoomsClient
from chat_gateway_ws.connections import Connections
from chat_gateway_ws.metrics import PRESENCE
from chat_gateway_ws.presence_store import BATCH, Change, PresenceRules, PresenceStore

log = get_logger(__name__)

COLLECT_SECONDS = 0.05
"""Changes of this long go to Redis together."""
PATROL_SECONDS = 1.0
LAST_SEEN_SECONDS = 2.0
REFRESH_SECONDS = 600.0
"""How often Redis hears of everybody again; well below the life of its keys."""
RETRY_SECONDS = 2.5
"""Longer than pub/sub takes to come back: what is announced before that, nobody hears."""
RENEWALS_PER_LEASE = 4
MAX_ANNOUNCEMENTS = 2_000
"""Users times rooms in one script call."""

AWAY = (RedisError, OSError, TimeoutError)

RoomsOf = tuple[str, Sequence[str]]


class Presence:
    """Keeps this gateway's users online and says so in their rooms."""

    def __init__(
        self,
        redis: Redis,
        connections: Connections,
        rooms: RoomsClient,
        auth: AuthClient,
        *,
        gateway: str,
        rules: PresenceRules,
        max_members: int,
    ) -> None:
        """Args:
        gateway: a name that no other process has, ever.
        rules: the times to go by.
        max_members: larger rooms get no presence events; ask for a user's profile instead.
        """
        self._connections = connections
        self._rooms = rooms
        self._auth = auth
        self._rules = rules
        self._max_members = max_members
        self._store = PresenceStore(redis, gateway, rules)
        self._known: dict[str, str] = {}
        """Users whom Redis holds for us -> the epoch in which it was told; empty when that is not sure."""
        self._marked: dict[str, None] = {}
        """Users whom Redis has to hear of, the longest waiting first."""
        self._has_marked = asyncio.Event()
        self._epoch = ""
        self._running_since = 0.0
        """Since when our lease has not ended, by the loop's clock."""
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Hold the lease and look after what is due at any gateway."""
        self._running_since = _now()
        for step, pause in (
            (self._tell, COLLECT_SECONDS),
            (self._patrol, PATROL_SECONDS),
            (self._store_last_seen, LAST_SEEN_SECONDS),
            (self._refresh, REFRESH_SECONDS),
        ):
            name = f"presence{step.__name__}"
            self._tasks.spawn(run_forever(step, name=name, pause=pause), name=name)

    async def stop(self) -> None:
        """Begin the grace of all users who are still here, and let the lease end with it."""
        await self._tasks.cancel()
        changes = [Change(user_id, False, epoch) for user_id, epoch in self._known.items()]
        try:
            for part in _parts(changes) if changes else [[]]:
                await self._store.sync(part, lease=self._rules.grace + PATROL_SECONDS)
        except AWAY:
            log.warning("presence lease ends by itself")

    def changed(self, user_id: str) -> None:
        """A socket of this user opened here, or their last one closed."""
        self._mark([user_id])

    def _mark(self, user_ids: Iterable[str]) -> None:
        self._marked.update(dict.fromkeys(user_ids))
        if self._marked:
            self._has_marked.set()

    async def _tell(self) -> None:
        """Tell Redis of the next marked users; without any, renew the lease when it is time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rules.lease / RENEWALS_PER_LEASE):
                await self._has_marked.wait()
        batch = list(islice(self._marked, BATCH))
        for user_id in batch:
            del self._marked[user_id]
        try:
            await self._sync([change for user_id in batch if (change := self._change_of(user_id))])
        except AWAY:
            self._mark(batch)
            await asyncio.sleep(min(RETRY_SECONDS, self._rules.lease / RENEWALS_PER_LEASE))
            raise
        finally:
            if not self._marked:
                self._has_marked.clear()

    def _change_of(self, user_id: str) -> Change | None:
        """Return what is true of a user; None for one who came and went before Redis heard of them."""
        is_open = self._connections.user(user_id) is not None
        if not is_open and user_id not in self._known:
            return None
        return Change(user_id, is_open, self._known.setdefault(user_id, ""))

    async def _sync(self, changes: list[Change]) -> None:
        answer = await self._store.sync(changes)
        for change in changes:
            if change.open:
                self._known[change.user_id] = answer.epoch
            else:
                self._known.pop(change.user_id, None)
        if not answer.was_running:
            self._running_since = _now()
        if not answer.was_running or answer.epoch != self._epoch:
            # We were given up, or Redis has forgotten everything: it has to hear of all our users again.
            self._epoch = answer.epoch
            self._mark(self._known)
        known_here = [(user_id, self._rooms_here(user_id)) for user_id in answer.announce]
        await self._announce([(user_id, rooms) for user_id, rooms in known_here if rooms is not None])

    async def _refresh(self) -> None:
        self._mark(self._known)

    def _rooms_here(self, user_id: str) -> list[str] | None:
        """Return the rooms of a user with sockets here; None for others, who are left to a patrol."""
        user = self._connections.user(user_id)
        if user is None or not user.rooms:  # a socket on its way in has no rooms yet
            return None
        return self._small(user.rooms.values())

    async def _patrol(self) -> None:
        """Announce what is due, at whichever gateway it became so.

        While our own lease ended a moment ago, others may not have come back from the same trouble yet; to
        take their users for lost would be a false alarm.
        """
        if _now() - self._running_since < self._rules.lease:
            return
        more = True
        while more:
            found = await self._store.patrol()
            looked_up = await asyncio.gather(*(self._look_up(user_id) for user_id in found.announce))
            await self._announce([rooms_of for rooms_of in looked_up if rooms_of is not None])
            more = found.more

    async def _look_up(self, user_id: str) -> RoomsOf | None:
        """Return the rooms of a user; None when nobody knows: the user is due again soon."""
        rooms = self._rooms_here(user_id)
        if rooms is not None:
            return user_id, rooms
        try:
            return user_id, self._small(await self._rooms.of_user(user_id))
        except ChatError as error:
            log.warning("presence is announced later", error=error.code)
            return None

    def _small(self, rooms: Iterable[UserRoom]) -> list[str]:
        return [room.room_id for room in rooms if room.member_count <= self._max_members]

    async def _announce(self, rooms_of: list[RoomsOf]) -> None:
        part: list[RoomsOf] = []
        size = 0
        for item in rooms_of:
            if part and size + len(item[1]) > MAX_ANNOUNCEMENTS:
                await self._announce_part(part)
                part, size = [], 0
            part.append(item)
            size += len(item[1])
        await self._announce_part(part)

    async def _announce_part(self, part: list[RoomsOf]) -> None:
        came, went = await self._store.announce(part)
        PRESENCE.labels("online").inc(came)
        PRESENCE.labels("offline").inc(went)

    async def _store_last_seen(self) -> None:
        """Tell auth when users went offline; what it did not take waits in Redis."""
        while moments := await self._store.last_seen():
            await self._auth.report_last_seen(
                [LastSeen(user_id=user_id, last_seen=moment) for user_id, moment in moments]
            )
            await self._store.last_seen_stored(moments)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _parts(changes: list[Change]) -> Iterator[list[Change]]:
    for start in range(0, len(changes), BATCH):
        yield changes[start : start + BATCH]
