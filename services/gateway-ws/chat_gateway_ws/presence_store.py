"""What Redis knows of who is online, seen from one gateway; a call is one script for many users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import orjson
from redis.asyncio import Redis

from chat_gateway_ws.presence_scripts import ANNOUNCE, PATROL, STORED, SYNC

LAST_SEEN_KEY = "presence:last-seen"
CLAIM_SECONDS = 10.0
"""How long a gateway may take to announce what it claimed before another one does."""
BATCH = 200
"""Users per script call: Redis serves nobody else meanwhile."""


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """The times that presence goes by, in seconds; the same at every gateway."""

    lease: float
    """How long a gateway counts after it was heard of."""
    grace: float
    """How long a user may be away before others are told."""
    window: float
    """In how long a time at most two changes of a user are announced."""


@dataclass(frozen=True, slots=True)
class Change:
    """Whether a user has sockets at this gateway."""

    user_id: str
    open: bool
    known_in: str
    """The epoch in which Redis was told of the user before; empty for a newcomer."""


@dataclass(frozen=True, slots=True)
class Synced:
    """The answer to changes."""

    was_running: bool
    """Whether our lease was still running: if not, our users may have been given up."""
    epoch: str
    announce: list[str]
    """Users whose change is to be announced now."""


@dataclass(frozen=True, slots=True)
class Patrolled:
    """What a look at everybody's users found."""

    announce: list[str]
    more: bool
    """Whether there is more to find at once."""


class PresenceStore:
    """The holds and the lease of one gateway.

    Every method raises a RedisError, OSError or TimeoutError while Redis is away.
    """

    def __init__(self, redis: Redis, gateway: str, rules: PresenceRules) -> None:
        """`gateway`: a name that no other process has, ever."""
        self._redis = redis
        self._gateway = gateway
        self._rules = rules
        self._turns = count(1)
        """A call that was given up may still reach Redis after its repetition: it has to be ignored."""
        self._sync = redis.register_script(SYNC)
        self._patrol = redis.register_script(PATROL)
        self._announce = redis.register_script(ANNOUNCE)
        self._stored = redis.register_script(STORED)

    async def sync(self, changes: Sequence[Change], *, lease: float | None = None) -> Synced:
        """Renew the lease, for `lease` seconds instead of the usual ones if given, and tell of changes."""
        was_running, epoch, announce = await self._sync(
            args=[
                self._gateway,
                next(self._turns),
                self._rules.lease if lease is None else lease,
                self._rules.grace,
                self._rules.window,
                CLAIM_SECONDS,
                orjson.dumps([[change.user_id, change.open, change.known_in] for change in changes]),
            ]
        )
        return Synced(bool(was_running), _text(epoch), [_text(user_id) for user_id in announce])

    async def patrol(self) -> Patrolled:
        """End the holds of lost gateways and claim users, whoever's, who have to be announced."""
        announce, more = await self._patrol(
            args=[self._gateway, BATCH, self._rules.grace, self._rules.window, CLAIM_SECONDS]
        )
        return Patrolled([_text(user_id) for user_id in announce], bool(more))

    async def announce(self, rooms_of: Sequence[tuple[str, Sequence[str]]]) -> tuple[int, int]:
        """Announce users in their rooms, as they are now; return how many came and how many went."""
        if not rooms_of:
            return 0, 0
        came, went = await self._announce(args=[self._rules.window, CLAIM_SECONDS, orjson.dumps(rooms_of)])
        return int(came), int(went)

    async def last_seen(self) -> list[tuple[str, datetime]]:
        """Return users who went offline, and when, as long as that is not stored."""
        found: Any = await self._redis.zrange(LAST_SEEN_KEY, 0, BATCH - 1, withscores=True)
        return [(_text(user_id), datetime.fromtimestamp(moment, UTC)) for user_id, moment in found]

    async def last_seen_stored(self, moments: Sequence[tuple[str, datetime]]) -> None:
        """Forget moments that are stored now."""
        pairs = [(user_id, moment.timestamp()) for user_id, moment in moments]
        await self._stored(args=[value for pair in pairs for value in pair])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
