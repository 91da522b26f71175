"""What rooms are told beside their log: who is there, who types. Best effort, to all gateways, in batches.

Where a crowd arrives each of them is announced to all the others. One message and one write for each pair
would be most of what the arrival costs; so what is said at the same time travels and is written together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from chat_shared.contracts.sockets import RoomPresence
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway_ws.room_feed import BLOCK_PACKETS, RoomFeed
from chat_gateway_ws.wire import Block, ReadyPacket, event_frame

log = get_logger(__name__)

PAUSE_SECONDS = 0.05
"""What is said within this time after other notices is published together."""
PUBLISH_BATCH = 1_000
MAX_WAITING = 10_000
"""More than that are not kept for a Redis that does not answer."""


def room_channel(room_id: str) -> str:
    """Return the Redis channel of a room."""
    return f"room:{room_id}"


@dataclass(frozen=True, slots=True)
class Notice:
    """A frame for everybody in a room."""

    room_id: str
    frame: str
    except_user: str | None = None
    """Who does not get it, as it is about them."""


class Notices:
    """Publishes notices of this process, in their order, those of a moment together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[Notice] = []
        self._is_publishing = False
        self._tasks = TaskSet()

    async def stop(self) -> None:
        """Give up what waits."""
        await self._tasks.cancel()

    def publish(self, notices: Iterable[Notice]) -> None:
        """Publish soon, at once where nothing was said just before; lost when Redis is away.

        Nobody waits for it: whoever did would be held up by the pause.
        """
        wanted = list(notices)
        taken = wanted[: MAX_WAITING - len(self._waiting)]
        self._waiting += taken
        if len(taken) < len(wanted):
            log.warning("ephemeral events lost", notices=len(wanted) - len(taken), error="too many wait")
        if self._waiting and not self._is_publishing:
            self._is_publishing = True
            self._tasks.spawn(self._publish_all(), name="notices")

    async def _publish_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:PUBLISH_BATCH], self._waiting[PUBLISH_BATCH:]
                await self._publish_batch(batch)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._is_publishing = False

    async def _publish_batch(self, batch: Sequence[Notice]) -> None:
        by_room: defaultdict[str, list[tuple[str, str | None]]] = defaultdict(list)
        for notice in batch:
            by_room[notice.room_id].append((notice.frame, notice.except_user))
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for room_id, frames in by_room.items():
                    pipeline.publish(room_channel(room_id), orjson.dumps({"frames": frames}))
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("ephemeral events lost", notices=len(batch), error=repr(error)[:100])


def notices_in(room_id: str, content: dict[str, Any]) -> list[Notice]:
    """Return the notices in what pub/sub brought: frames, or users of whom presence tells."""
    if "presence" in content:
        return [
            Notice(room_id, event_frame(event, RoomPresence(user_id=user_id, room_id=room_id)))
            for event, user_ids in content["presence"].items()
            for user_id in user_ids
        ]
    return [Notice(room_id, frame, except_user) for frame, except_user in content["frames"]]


def spread(feed: RoomFeed, notices: Sequence[Notice]) -> None:
    """Send notices to the listeners of their room, several in one write."""
    for start in range(0, len(notices), BLOCK_PACKETS):
        part = notices[start : start + BLOCK_PACKETS]
        packets = [ReadyPacket(notice.frame) for notice in part]
        block = Block(packets)
        spared = {notice.except_user for notice in part}
        for connection in feed.listeners:
            if connection.user_id not in spared:
                connection.send_block(block)
                continue
            for notice, packet in zip(part, packets, strict=True):
                if notice.except_user != connection.user_id:
                    connection.send_packet(packet)
