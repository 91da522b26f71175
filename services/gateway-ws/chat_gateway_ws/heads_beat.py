"""Tells every socket now and then how far its rooms were delivered: a client notices what it missed."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from chat_shared.contracts.sockets import DeliveredHeads
from chat_shared.lifecycle import TaskSet, run_forever

from chat_gateway_ws.connections import Connection, Connections
from chat_gateway_ws.epoch import LogEpoch
from chat_gateway_ws.room_feed import RoomFeed
from chat_gateway_ws.wire import event_frame

MAX_ROOMS = 200
STEPS = 100
"""Parts of the interval, in each of which as many sockets are served: no bursts."""


class Feeds(Protocol):
    """Finds the feed of a room."""

    def get(self, room_id: str, /) -> RoomFeed | None:
        """Return the feed of a room that has listeners here."""


class HeadsBeat:
    """Sends `heads` behind the messages that it speaks of."""

    def __init__(
        self, connections: Connections, feeds: Feeds, epoch: LogEpoch, *, interval_seconds: float
    ) -> None:
        """`interval_seconds`: how often each socket is told."""
        self._connections = connections
        self._feeds = feeds
        self._epoch = epoch
        self._interval_seconds = interval_seconds
        self._tasks = TaskSet()

    async def start(self) -> None:
        """Begin to tell."""
        self._tasks.spawn(run_forever(self._beat, name="heads-beat", pause=0), name="heads-beat")

    async def stop(self) -> None:
        """Stop telling."""
        await self._tasks.cancel()

    async def _beat(self) -> None:
        """Tell every socket once."""
        connections = list(self._connections)
        for step in range(STEPS):
            await asyncio.sleep(self._interval_seconds / STEPS)
            for connection in connections[step::STEPS]:
                self.tell(connection)

    def tell(self, connection: Connection) -> None:
        """Send how far the rooms of a socket were delivered to it."""
        epoch = self._epoch.current
        if epoch is None or connection.closing:
            return
        heads = self._delivered(connection)
        while some := dict(islice(heads, MAX_ROOMS)):
            connection.send(event_frame("heads", DeliveredHeads(epoch=epoch, heads=some)))

    def _delivered(self, connection: Connection) -> Iterator[tuple[str, int]]:
        """Yield the rooms whose messages have gone to this socket, not those that it catches up with."""
        for room_id in connection.listening:
            feed = self._feeds.get(room_id)
            if feed is None or feed.head is None or feed.listeners.get(connection, feed) is not None:
                continue
            yield room_id, feed.head
