"""The fast way to sockets: ready-made frames through Redis, in `seq` order, at most once.

Lost here is not lost: the outbox flag stays until an entry was published, and gateways compare heads.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import orjson
from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Committed, by_room
from chat_messaging.metrics import PUBLISH_FAILURES, PUBLISH_TIME

log = get_logger(__name__)

PUBLISH_SECONDS = 1.0
MAX_WAITING = 20_000
HEAD_TTL_SECONDS = 7 * 24 * 3600
SCAN_COUNT = 1_000
SETTLE_SECONDS = 0.05
MAX_UNRAISED = 100_000

HEADS_BATCH = 200
"""Heads that one call raises; Redis serves nobody else meanwhile."""

#: A head only goes up, whoever writes it last.
_RAISE_HEADS = """
for number, key in ipairs(KEYS) do
  local head = redis.call('GET', key)
  if not head or tonumber(ARGV[number + 1]) > tonumber(head) then
    redis.call('SET', key, ARGV[number + 1], 'EX', ARGV[1])
  end
end
"""


def room_channel(room_id: str) -> str:
    """Return the Redis channel that gateways listen to for a room."""
    return f"room:{room_id}"


def head_key(room_id: str) -> str:
    """Return the key that holds the last `seq` published in a room."""
    return f"head:{room_id}"


async def forget_heads(redis: Redis) -> None:
    """Remove the published positions of all rooms: they are those of another log.

    Raises:
        RedisError, OSError, TimeoutError: Redis is away, or went away meanwhile.
    """
    async for key in redis.scan_iter(match=head_key("*"), count=SCAN_COUNT):
        await redis.delete(key)


class Fanout:
    """Publishes committed entries to gateways, all that waits in one pipeline."""

    def __init__(
        self, redis: Redis, crash_points: CrashPoints, on_published: Callable[[list[Committed]], None]
    ) -> None:
        """`on_published` gets what Redis took, heads included; the rest is left to the sweep."""
        self._redis = redis
        self._raise = redis.register_script(_RAISE_HEADS)
        self._crash_points = crash_points
        self._on_published = on_published
        self._waiting: list[Committed] = []
        self._told: list[Committed] = []
        """Published, with heads that are not raised yet."""
        self._unraised: dict[str, int] = {}
        """Rooms whose head Redis did not take: until it does, no gateway can see that it missed something."""
        self._wake = asyncio.Event()
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Publish in the background what `enqueue` brings."""
        for step, pause in ((self._publish_next, 0.0), (self._settle, SETTLE_SECONDS)):
            name = f"fanout{step.__name__}"
            self._tasks.spawn(run_forever(step, name=name, pause=pause), name=name)

    async def stop(self) -> None:
        """Publish what waits, then stop."""
        await self._tasks.cancel()
        await self._publish_waiting()
        await self._settle()

    def enqueue(self, entries: list[Committed]) -> None:
        """Publish soon; entries of one room come in `seq` order. Beyond the bound the sweep has to do it."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting += entries
            self._wake.set()

    async def _publish_next(self) -> None:
        await self._wake.wait()
        await self._publish_waiting()

    async def _publish_waiting(self) -> None:
        self._wake.clear()
        entries, self._waiting = self._waiting, []
        if entries and await self._publish_frames(entries):
            self._told += entries

    async def publish(self, entries: Sequence[Committed]) -> bool:
        """Publish entries and raise the heads of their rooms; tell whether Redis took all of it."""
        return await self._publish_frames(entries) and await self._raise_heads(_heads_of(entries))

    async def _publish_frames(self, entries: Sequence[Committed]) -> bool:
        self._crash_points.passing("before_fanout")
        try:
            async with asyncio.timeout(PUBLISH_SECONDS), self._redis.pipeline(transaction=False) as pipeline:
                for room_id, of_room in by_room(entries).items():
                    pipeline.publish(room_channel(room_id), _payload(of_room))
                with PUBLISH_TIME.time():
                    await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._remember_unraised(_heads_of(entries))
            PUBLISH_FAILURES.labels("redis").inc(len(entries))
            log.warning("fan-out left to the sweep", entries=len(entries), error=repr(error)[:200])
            return False
        return True

    async def _settle(self) -> None:
        """Raise the heads of what was published since the last time, then hand it on.

        That is not urgent, so it is done for many at a time. It comes before the flags in the log are
        cleared: whatever happens to this process, gateways can see that they missed something.
        """
        entries, self._told = self._told, []
        heads, self._unraised = self._unraised, {}
        for room_id, seq in _heads_of(entries).items():
            heads[room_id] = max(seq, heads.get(room_id, 0))
        if heads and await self._raise_heads(heads) and entries:
            self._on_published(entries)

    async def _raise_heads(self, heads: Mapping[str, int]) -> bool:
        rooms, start = list(heads.items()), 0
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                while part := rooms[start : start + HEADS_BATCH]:
                    await self._raise(
                        keys=[head_key(room_id) for room_id, _ in part],
                        args=[HEAD_TTL_SECONDS, *(seq for _, seq in part)],
                    )
                    start += len(part)
        except (RedisError, OSError, TimeoutError) as error:
            self._remember_unraised(dict(rooms[start:]))  # what was raised is done: there may be very many
            log.warning("heads not raised", rooms=len(rooms) - start, error=repr(error)[:200])
            return False
        return True

    def _remember_unraised(self, heads: Mapping[str, int]) -> None:
        for room_id, seq in heads.items():
            if len(self._unraised) < MAX_UNRAISED or room_id in self._unraised:
                self._unraised[room_id] = max(seq, self._unraised.get(room_id, 0))

    async def forget(self, room_id: str) -> None:
        """Remove what Redis keeps of a deleted room."""
        self._unraised.pop(room_id, None)
        await self._redis.delete(head_key(room_id))


def _heads_of(entries: Sequence[Committed]) -> dict[str, int]:
    """Return the highest `seq` of each room."""
    heads: dict[str, int] = {}
    for entry in entries:
        heads[entry.room_id] = max(entry.placed.seq, heads.get(entry.room_id, 0))
    return heads


def _payload(entries: Sequence[Committed]) -> bytes:
    """Return what gateways get: entries with their `seq`, and whose delivery is traced."""
    frames = [(entry.placed.seq, entry.frame) for entry in entries]
    traces = {str(entry.placed.seq): entry.trace for entry in entries if entry.trace}
    return orjson.dumps({"entries": frames, "traces": traces} if traces else frames)
