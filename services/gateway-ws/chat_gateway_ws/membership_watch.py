"""The last resort while nobody tells us of changes: ask whether the members are still members."""

import asyncio
import random
from collections.abc import Callable

from chat_shared.lifecycle import TaskSet
from chat_shared.logging import get_logger

from chat_gateway_ws.memberships import Memberships

log = get_logger(__name__)

RECHECK_SECONDS = 10.0


class MembershipWatch:
    """Asks again and again for as long as events do not come; their return asks for everything once."""

    def __init__(self, memberships: Memberships, events_come: Callable[[], bool]) -> None:
        self._memberships = memberships
        self._events_come = events_come
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Begin to watch."""
        self._tasks.spawn(self._watch(), name="membership-watch")

    async def stop(self) -> None:
        """Watch no more."""
        await self._tasks.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS * random.uniform(0.8, 1.0))
            if self._events_come():
                continue
            try:
                await self._memberships.recheck()
            except Exception as error:  # whatever it is: nothing here may end the watch
                log.warning("memberships could not be checked", error=repr(error)[:200])
