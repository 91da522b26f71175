"""The one Redis pub/sub connection of this process: channels come and go, the connection heals itself.

redis-py neither reconnects a subscription without losing track nor notices a silent half-open connection,
so the loop here reads with a timeout, pings every two seconds and starts over after five silent ones; or
when pings are answered and what is published does not arrive, which the canary tells.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from chat_shared.errors import Unavailable
from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger
from chat_shared.redis import connect_redis_subscriber
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chat_gateway_ws.canary import Canary
from chat_gateway_ws.metrics import SUBSCRIPTION_BREAKS

log = get_logger(__name__)

READ_SECONDS = 0.5
PING_SECONDS = 2.0
DEAF_SECONDS = 5.0
CONFIRM_SECONDS = 3.0
MAX_BACKOFF_SECONDS = 2.0
CHUNK = 500
STALL_SECONDS = 1.5
"""So long without a look at the connection, and this process stood still."""
BACKLOG_SECONDS = 5.0
BACKLOG_MESSAGES = 20_000
QUESTION_SECONDS = 3.0


class SubscriptionDeaf(Exception):
    """The connection stands and brings nothing; `reason` names the kind."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Subscriber:
    """Keeps this process subscribed to a changing set of channels."""

    def __init__(
        self,
        url: str,
        redis: Redis,
        own_channel: str,
        on_message: Callable[[str, bytes], None],
        on_resubscribed: Callable[[], Awaitable[None]],
    ) -> None:
        """Args:
        redis: for ordinary commands.
        own_channel: always subscribed; nobody else publishes there.
        on_message: called with channel and payload, in the order of arrival.
        on_resubscribed: called when the subscriptions stand again after a break: messages may be missing.
        """
        self._redis = connect_redis_subscriber(url)
        self._canary = Canary(redis, own_channel)
        self._channels: set[str] = set()
        self._further: dict[str, Callable[[bytes], None]] = {}
        self._question: Callable[[], Awaitable[None]] | None = None
        self._on_message = on_message
        self._on_resubscribed = on_resubscribed
        self._pubsub: Any = None
        self._read_at = 0.0
        """When all that had come was handled last."""
        self._handled = asyncio.Event()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._tasks = TaskSet()

    def also_hear(self, channel: str, on_payload: Callable[[bytes], None]) -> None:
        """Stay subscribed to a channel with a receiver of its own; call it before `start`."""
        self._further[channel] = on_payload

    def ask_first(self, question: Callable[[], Awaitable[None]]) -> None:
        """Wait for `question`, within bounds, before rooms are heard again; call this before `start`.

        Facts that nobody heard during a break are asked for here: who lost a room then must not hear it.
        """
        self._question = question

    async def start(self) -> None:
        """Subscribe in the background, and again whenever the connection breaks."""
        self._tasks.spawn(self._stay_subscribed(), name="redis-subscriber")
        self._tasks.spawn(self._canary.sing_forever(), name="redis-canary")

    async def stop(self) -> None:
        """Give up all subscriptions."""
        await self._tasks.cancel()
        await self._disconnect()
        await self._redis.aclose()

    async def check(self) -> None:
        """Raise `Unavailable` while this process is deaf."""
        if self._pubsub is None:
            raise Unavailable("Redis pub/sub is not connected")
        if not self._canary.is_heard:
            raise Unavailable("Redis pub/sub is connected and brings nothing")

    async def settled(self) -> None:
        """Return once all is handled that came while this process stood still; at once in ordinary times.

        Whoever reads the log for somebody waits here first: the end of their membership may be among it.
        """
        if self._stood_still():
            self._handled.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(BACKLOG_SECONDS + CONFIRM_SECONDS):
                    await self._handled.wait()

    def _stood_still(self) -> bool:
        return self._pubsub is not None and time.monotonic() - self._read_at > STALL_SECONDS

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Subscribe and return when Redis has confirmed: later messages will arrive.

        While Redis is away the channels are noted and subscribed on its return; this returns at once,
        and the log stays the way to the messages until then.
        """
        new = [channel for channel in channels if channel not in self._channels]
        self._channels.update(new)
        if not new or self._pubsub is None:
            return
        loop = asyncio.get_running_loop()
        confirmations = [self._confirmations.setdefault(channel, loop.create_future()) for channel in new]
        with suppress(RedisError, OSError, TimeoutError):
            await self._pubsub.subscribe(*new)
            async with asyncio.timeout(CONFIRM_SECONDS):
                await asyncio.gather(*(asyncio.shield(confirmation) for confirmation in confirmations))

    async def unsubscribe(self, channel: str) -> None:
        """Stop listening to a channel."""
        self._channels.discard(channel)
        if self._pubsub is not None:
            with suppress(RedisError, OSError, TimeoutError):
                await self._pubsub.unsubscribe(channel)

    async def _stay_subscribed(self) -> None:
        backoff = 0.1
        while True:
            try:
                await self._connect()
                backoff = 0.1
                await self._read_until_deaf()
            except Exception as error:  # whatever it is: a gateway that stays deaf is worse
                log.warning("redis subscription lost", error=repr(error)[:200])
                if self._pubsub is not None:
                    reason = error.reason if isinstance(error, SubscriptionDeaf) else "lost"
                    SUBSCRIPTION_BREAKS.labels(reason).inc()
            await self._disconnect()
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _connect(self) -> None:
        pubsub = self._redis.pubsub()
        async with asyncio.timeout(CONFIRM_SECONDS):
            await pubsub.subscribe(self._canary.channel, *self._further)
        await self._ask()
        async with asyncio.timeout(CONFIRM_SECONDS):
            subscribed: set[str] = set()
            while wanted := sorted(self._channels - subscribed)[:CHUNK]:  # more may come while we wait
                await pubsub.subscribe(*wanted)
                subscribed.update(wanted)
        self._pubsub = pubsub
        self._read_at = time.monotonic()
        self._canary.begin()
        self._tasks.spawn(self._catch_up(), name="redis-resubscribed")

    async def _ask(self) -> None:
        if self._question is None or not self._channels:
            return
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                await self._question()
        except Exception as error:  # whatever it is: all the others go on hearing their rooms
            log.warning("rooms are heard again without a question", error=repr(error)[:200])

    async def _catch_up(self) -> None:
        await self._on_resubscribed()

    async def _read_until_deaf(self) -> None:
        pinged_at = time.monotonic()
        # Reads are counted, not time: what came during a pause of this process is still to be read. In there
        # are the ends of memberships, before the messages that those who left must not get.
        silent = 0.0
        while True:
            message = await self._next_message(READ_SECONDS)
            messages = [] if message is None else [message]
            if self._stood_still():
                messages = await self._with_backlog(messages)
            silent = 0.0 if messages else silent + READ_SECONDS
            for each in messages:
                self._dispatch(each)
            self._read_at = now = time.monotonic()
            self._handled.set()
            if silent > DEAF_SECONDS:
                raise SubscriptionDeaf("silent")
            if self._canary.is_lost:
                raise SubscriptionDeaf("deaf")
            if now - pinged_at > PING_SECONDS:
                pinged_at = now
                async with asyncio.timeout(1):
                    await self._pubsub.ping()

    async def _next_message(self, timeout: float) -> dict[str, Any] | None:
        message: dict[str, Any] | None = await self._pubsub.get_message(
            ignore_subscribe_messages=False, timeout=timeout
        )
        return message

    async def _with_backlog(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return these and all that came while this process stood still, facts before messages.

        Who was removed meanwhile was a member when the first of these messages were said, and is none now.
        The end of it is a mark of our own: what takes long to come, on a slow machine, is still before it.

        Raises:
            SubscriptionDeaf: the mark does not come; a new subscription begins with a question.
        """
        try:
            async with asyncio.timeout(BACKLOG_SECONDS):
                mark = await self._canary.mark()
                while not (messages and self._is_at(mark, messages[-1])):
                    message = await self._next_message(READ_SECONDS)
                    if message is not None:
                        messages.append(message)
                    if len(messages) > BACKLOG_MESSAGES:
                        raise SubscriptionDeaf("backlog")
        except (RedisError, OSError, TimeoutError) as error:
            raise SubscriptionDeaf("backlog") from error
        return sorted(messages, key=lambda each: each["channel"].decode() not in self._further)

    def _is_at(self, mark: int, message: dict[str, Any]) -> bool:
        """Tell whether all that was published before this mark has come."""
        is_song = message["type"] == "message" and message["channel"].decode() == self._canary.channel
        return is_song and int(message["data"]) >= mark

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            channel, payload = message["channel"].decode(), message["data"]
            further = self._further.get(channel)
            if channel == self._canary.channel:
                self._canary.heard(payload)
            elif further is not None:
                further(payload)
            else:
                self._on_message(channel, payload)
        elif message["type"] == "subscribe":
            confirmation = self._confirmations.pop(message["channel"].decode(), None)
            if confirmation is not None and not confirmation.done():
                confirmation.set_result(None)

    async def _disconnect(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        self._confirmations.clear()
        if pubsub is not None:
            with suppress(Exception):  # a failure here would end the subscriber for good
                async with asyncio.timeout(1):
                    await pubsub.aclose()
