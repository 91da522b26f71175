"""All rooms with listeners on this process: subscribed on the first one, let go after the last one."""

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import orjson
from chat_shared.errors import ChatError
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.tracing import begin, end
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway_ws.clients import MessagingClient
from chat_gateway_ws.connections import Connection
from chat_gateway_ws.metrics import ROOMS
from chat_gateway_ws.notices import Notice, Notices, notices_in, room_channel, spread
from chat_gateway_ws.recent import RecentBudget
from chat_gateway_ws.room_feed import Entry, RoomFeed
from chat_gateway_ws.subscriber import Subscriber

log = get_logger(__name__)

LINGER_SECONDS = 5.0
#: A message that is on its way through pub/sub is not missed yet.
IN_FLIGHT_SECONDS = 0.2
CHUNK = 500
#: Rooms that are filled side by side after a break.
FILLS = 16


def head_key(room_id: str) -> str:
    """Return the Redis key at which messaging notes the last `seq` that it published."""
    return f"head:{room_id}"


class RoomFeeds:
    """The feeds of this process, their subscriptions, and the check that nothing was missed."""

    def __init__(
        self,
        redis_url: str,
        redis: Redis,
        messaging: MessagingClient,
        *,
        instance: str,
        head_check_seconds: float,
        recent_bytes: int,
    ) -> None:
        """Args:
        instance: a name that no other process has.
        head_check_seconds: how often positions are compared.
        recent_bytes: what the last entries of all rooms may take in memory.
        """
        self._redis = redis
        self._messaging = messaging
        self._feeds: dict[str, RoomFeed] = {}
        self._recent = RecentBudget(recent_bytes)
        self._notices = Notices(redis)
        self._opening: dict[str, asyncio.Task[None]] = {}
        """Rooms that are subscribed to and placed at this moment, for all who want to hear them."""
        self._head_check_seconds = head_check_seconds
        self._log_is_due = False
        """After a break the heads in Redis may be missing too; the log has to be asked until it answers."""
        self._tasks = TaskSet()
        self.subscriber = Subscriber(
            redis_url, redis, f"gateway:{instance}", self._receive, self._check_all_with_log
        )

    async def start(self) -> None:
        """Subscribe, and compare positions every now and then."""
        await self.subscriber.start()
        self._tasks.spawn(self._check_heads_forever(), name="head-check")

    async def stop(self) -> None:
        """Let every room go."""
        await self._tasks.cancel()
        await self._notices.stop()
        await self.subscriber.stop()

    def get(self, room_id: str) -> RoomFeed | None:
        """Return the feed of a room that has listeners here."""
        return self._feeds.get(room_id)

    async def attach(self, connection: Connection, room_ids: Iterable[str]) -> None:
        """Make a socket a listener of rooms; on return every later message will reach it.

        Raises:
            ChatError: messaging is away, so that nobody knows where the rooms stand.
        """
        if connection.gone:
            return
        feeds = [self._open(room_id) for room_id in room_ids]
        for feed in feeds:
            feed.listeners.setdefault(connection, None)
            connection.listening.add(feed.room_id)
        await self._open_all([feed for feed in feeds if feed.head is None])

    async def _open_all(self, feeds: list[RoomFeed]) -> None:
        """Subscribe to rooms and place them, each once for all who ask at a time.

        Raises:
            ChatError: messaging is away.
        """
        new = [feed for feed in feeds if feed.room_id not in self._opening]
        if new:
            task = asyncio.create_task(self._subscribe_and_place(new))
            task.add_done_callback(partial(self._opened, new))
            self._opening.update((feed.room_id, task) for feed in new)
        for task in {self._opening[feed.room_id] for feed in feeds}:
            await asyncio.shield(task)

    def _opened(self, feeds: list[RoomFeed], task: asyncio.Task[None]) -> None:
        for feed in feeds:
            if self._opening.get(feed.room_id) is task:
                del self._opening[feed.room_id]
        if not task.cancelled():
            task.exception()  # those who wait get it

    async def _subscribe_and_place(self, feeds: list[RoomFeed]) -> None:
        """Subscribe first: what is stored after the answer about positions will arrive."""
        await self.subscriber.subscribe([room_channel(feed.room_id) for feed in feeds])
        for start in range(0, len(feeds), CHUNK):
            await self._place(feeds[start : start + CHUNK])

    def detach(self, connection: Connection, room_ids: Iterable[str]) -> None:
        """Take a socket out of rooms at once."""
        for room_id in list(room_ids):
            connection.listening.discard(room_id)
            feed = self._feeds.get(room_id)
            if feed is not None and connection in feed.listeners:
                del feed.listeners[connection]
                if not feed.listeners:
                    self._tasks.spawn(self._close_later(feed), name="feed-linger")

    def forget_all(self) -> None:
        """Begin anew with every room: the log is another one. The sockets have to come back."""
        old, self._feeds = self._feeds, {}
        self._opening.clear()
        ROOMS.set(0)
        for feed in old.values():
            feed.recent.clear()
        self._tasks.spawn(self._unsubscribe_all(list(old)), name="feeds-forgotten")

    async def _unsubscribe_all(self, room_ids: list[str]) -> None:
        """Unsubscribe from rooms to which nobody comes back."""
        await asyncio.sleep(LINGER_SECONDS)
        for room_id in room_ids:
            await self._unsubscribe(room_id)

    def _open(self, room_id: str) -> RoomFeed:
        feed = self._feeds.get(room_id)
        if feed is None:
            feed = self._feeds[room_id] = RoomFeed(room_id, self._messaging.entries, self._recent)
            ROOMS.set(len(self._feeds))
        return feed

    async def _close_later(self, feed: RoomFeed) -> None:
        """Unsubscribe from a room that stays empty; users who reload their page come back before that."""
        await asyncio.sleep(LINGER_SECONDS)
        if not feed.listeners and self._feeds.get(feed.room_id) is feed:
            del self._feeds[feed.room_id]
            self._opening.pop(
                feed.room_id, None
            )  # who comes now needs a place for a new feed, not for this one
            feed.recent.clear()
            ROOMS.set(len(self._feeds))
            await self._unsubscribe(feed.room_id)

    async def _unsubscribe(self, room_id: str) -> None:
        if room_id in self._feeds:
            return
        await self.subscriber.unsubscribe(room_channel(room_id))
        if room_id in self._feeds:  # somebody came back while we unsubscribed
            await self.subscriber.subscribe([room_channel(room_id)])

    async def _place(self, feeds: list[RoomFeed]) -> None:
        heads = await self._messaging.heads([feed.room_id for feed in feeds])
        for feed in feeds:
            if feed.start_at(heads.get(feed.room_id, 0)):
                self._tasks.spawn(self._fill(feed), name="feed-fill")

    def _receive(self, channel: str, payload: bytes) -> None:
        feed = self._feeds.get(channel.removeprefix("room:"))
        if feed is None:
            return
        content = orjson.loads(payload)
        if isinstance(content, list):
            self._take(feed, content)
        elif "entries" in content:
            with tracing_delivery(feed, content["traces"]):
                self._take(feed, content["entries"])
        else:
            spread(feed, notices_in(feed.room_id, content))

    def _take(self, feed: RoomFeed, entries: list[Entry]) -> None:
        if feed.receive(entries):
            self._tasks.spawn(self._fill(feed), name="feed-fill")

    async def _fill(self, feed: RoomFeed, target: int = 0) -> None:
        await self.subscriber.settled()
        try:
            await feed.catch_up(target)
        except Exception as error:  # whatever it is: other rooms go on, and the next check tries again
            log.warning("a hole waits to be filled", room_id=feed.room_id, error=repr(error)[:200])

    async def _fill_all(self, behind: Iterable[tuple[RoomFeed, int]]) -> None:
        """Bring feeds up to their targets, some of them side by side."""
        waiting = iter(behind)

        async def fill_some() -> None:
            for feed, head in waiting:
                if feed.has_hole or feed.delivered < head:
                    await self._fill(feed, head)

        await asyncio.gather(*(fill_some() for _ in range(FILLS)))

    async def _check_heads_forever(self) -> None:
        while True:
            await asyncio.sleep(self._head_check_seconds * random.uniform(0.5, 1.5))
            try:
                await self._check()
            except Exception as error:  # whatever it is: nothing here may end the checks
                log.warning("head check failed", error=repr(error)[:200])

    async def _check(self) -> None:
        try:
            await self._check_heads()
        except (RedisError, OSError, TimeoutError):
            self._log_is_due = True
        if self._log_is_due:
            await self._check_all_with_log()
        with suppress(ChatError):
            await self._messaging.heads([])  # to see the epoch, also where nothing else is asked

    async def _check_heads(self) -> None:
        """Compare every feed with the head in Redis; pub/sub alone would leave a lost message unnoticed."""
        feeds = [feed for feed in self._feeds.values() if feed.head is not None]
        for start in range(0, len(feeds), CHUNK):
            chunk = feeds[start : start + CHUNK]
            values = await self._redis.mget([head_key(feed.room_id) for feed in chunk])
            behind = [
                (feed, int(value))
                for feed, value in zip(chunk, values, strict=True)
                if value is not None and feed.head is not None and int(value) > feed.head
            ]
            if behind:
                await asyncio.sleep(IN_FLIGHT_SECONDS)
            await self._fill_all(behind)
        await self._check_with_log([feed for feed in self._feeds.values() if feed.head is None])

    async def _check_all_with_log(self) -> None:
        self._log_is_due = True
        self._log_is_due = not await self._check_with_log(list(self._feeds.values()))

    async def _check_with_log(self, feeds: list[RoomFeed]) -> bool:
        """Ask messaging where rooms stand: after a break, while Redis is away, or when nobody knew before.

        Tell whether it answered.
        """
        for start in range(0, len(feeds), CHUNK):
            chunk = feeds[start : start + CHUNK]
            try:
                heads = await self._messaging.heads([feed.room_id for feed in chunk])
            except ChatError as error:
                log.warning("positions unknown", error=error.code)
                return False
            for feed in chunk:
                feed.start_at(heads.get(feed.room_id, 0))
            await self._fill_all([(feed, heads.get(feed.room_id, 0)) for feed in chunk])
        return True

    def publish(self, room_id: str, frame: str, *, except_user: str) -> None:
        """Send a frame that is no log entry to a room on every gateway, soon; lost when Redis is away."""
        self._notices.publish([Notice(room_id, frame, except_user)])


@contextmanager
def tracing_delivery(feed: RoomFeed, traces: Mapping[str, str]) -> Iterator[None]:
    """Trace what happens to these entries, each by the `traceparent` of its message."""
    spans = [begin("deliver", parent, room=feed.room_id, seq=int(seq)) for seq, parent in traces.items()]
    try:
        yield
    finally:
        for span in spans:
            end(span, sockets=len(feed.listeners))
