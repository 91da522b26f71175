"""Users who come and go all the time, and somebody who watches what others are told of it."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import socketio
from chat_shared.testing import RawSocket, User, eventually

from chat_faults.fault import Run

TOGGLE_SECONDS = 2.0
WINDOW_SECONDS = 30.0
STUCK_SECONDS = 70.0
SHARE = 0.6
"""Of the busy room's members; the rest of them watch."""


@dataclass
class Outcome:
    """What others saw."""

    most_events: int
    """The most presence events of one user in one room within any window of 30 s."""
    stuck: list[str] = field(default_factory=list)
    """Users who were last said to be online although they are gone."""


class Toggling:
    """Toggles the later part of the busy room's members and watches with its owner."""

    def __init__(self, run: Run) -> None:
        members = run.load.hot_room.members
        self._run = run
        self._users = members[round(len(members) * (1 - SHARE)) :]
        self._events: dict[str, list[tuple[float, str]]] = defaultdict(list)

    async def go(self, seconds: float) -> Outcome:
        """Toggle for some seconds, let everybody leave, and wait until that was told."""
        run = self._run
        await run.load.retire({user.id for user in self._users})  # who toggles has no other socket
        watcher = socketio.AsyncClient()
        watcher.on("*", self._note)
        token = run.load.hot_room.owner.access_token
        await watcher.connect(run.rig.url, auth={"token": token}, transports=["websocket"])
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._toggle(user, until) for user in self._users))
        with suppress(AssertionError):
            await eventually(lambda: not self._not_offline(), STUCK_SECONDS)
        stuck = self._not_offline()
        await watcher.shutdown()
        return Outcome(max(map(_most_in_window, self._events.values()), default=0), stuck)

    async def _toggle(self, user: User, until: float) -> None:
        await asyncio.sleep(self._run.rng.uniform(0, TOGGLE_SECONDS))
        while time.monotonic() < until:
            with suppress(AssertionError, aiohttp.ClientError, OSError):
                async with RawSocket(self._run.rig.url) as socket:
                    await socket.log_in(user.access_token)
                    await asyncio.sleep(TOGGLE_SECONDS)
            await asyncio.sleep(TOGGLE_SECONDS)

    def _note(self, event: str, payload: Any) -> None:
        if event in ("user-online", "user-offline") and payload["roomId"] == self._run.load.hot_room.id:
            self._events[payload["userId"]].append((time.monotonic(), event))

    def _not_offline(self) -> list[str]:
        """Return the users who have gone and whose end was not announced yet."""
        return [
            user.id
            for user in self._users
            if not self._events[user.id] or self._events[user.id][-1][1] != "user-offline"
        ]


def _most_in_window(events: list[tuple[float, str]]) -> int:
    moments = [at for at, _ in events]
    return max((sum(begin <= at < begin + WINDOW_SECONDS for at in moments) for begin in moments), default=0)
