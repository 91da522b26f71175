"""Tells whether what is published in Redis reaches a subscription: publishes to it, and listens for that.

A subscription can be deaf while its connection answers every ping: a proxy that lost half of it, or a
Redis that is no longer the one that others publish to.
"""

import asyncio
import time
from contextlib import suppress

from redis.asyncio import Redis

SING_SECONDS = 1.0
DEAF_SECONDS = 5.0
DEAF_SONGS = 3
"""So many have to be lost too: after a pause of this process one may be late without being lost."""


class Canary:
    """Numbered messages to a channel of one's own, over the ordinary connection, awaited on the other one."""

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self.channel = channel
        self._number = 0
        self._last_heard = 0
        self._unheard = 0
        """How many went out since one was heard."""
        self._unheard_since = 0.0
        self._was_heard = False
        self._sing_now = asyncio.Event()

    @property
    def is_heard(self) -> bool:
        """Whether this subscription has brought a message of ours, ever."""
        return self._was_heard

    @property
    def is_lost(self) -> bool:
        """Whether messages go out and none has come back for too long."""
        return self._unheard >= DEAF_SONGS and time.monotonic() - self._unheard_since > DEAF_SECONDS

    def begin(self) -> None:
        """Start over: the subscription is a new one."""
        self._unheard = 0
        self._was_heard = False
        self._sing_now.set()

    def heard(self, payload: bytes) -> None:
        """A message came back."""
        with suppress(ValueError):
            self._last_heard = int(payload)
        self._unheard = 0
        self._was_heard = True

    async def mark(self) -> int:
        """Publish now and return the number: what was published before is heard before it.

        Raises:
            RedisError, OSError, TimeoutError: Redis is away.
        """
        self._number += 1
        number = self._number
        await self._redis.publish(self.channel, str(number))
        return number

    async def sing_forever(self) -> None:
        """Publish every second; when that fails it says nothing about the subscription."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SING_SECONDS):
                    await self._sing_now.wait()
            self._sing_now.clear()
            with suppress(Exception):  # whatever it is: without a song a deaf gateway would not find out
                await self._sing()

    async def _sing(self) -> None:
        began = time.monotonic()
        number = await self.mark()
        if self._last_heard < number:  # usually it is back before the answer
            if not self._unheard:
                self._unheard_since = began
            self._unheard += 1
