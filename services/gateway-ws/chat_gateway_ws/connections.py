"""The live sockets of this process: who they belong to, which rooms they may see, what waits for them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from chat_shared.contracts.internal import UserRoom
from chat_shared.tokens import Identity

from chat_gateway_ws.close_reasons import SLOW, CloseReason
from chat_gateway_ws.light import LightQueue
from chat_gateway_ws.metrics import CONNECTIONS, USERS
from chat_gateway_ws.send_queue import SendLimits, SendQueue
from chat_gateway_ws.wire import Block, ReadyPacket

TOMBSTONE_SECONDS = 60.0
SLOW_SECONDS = 10.0
BURST_PACKETS = 8
BURST_SIZE = 4
"""How many times the limit may wait for a moment: a burst is queued before its client can have read of it."""
MAX_TOMBSTONES = 100_000


class TokenBucket:
    """A rate limit: `rate` per second, `burst` at once."""

    __slots__ = ("_burst", "_level", "_rate", "_updated")

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._level = float(burst)
        self._updated = time.monotonic()

    def take(self) -> bool:
        """Take one token; tell whether there was one."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._updated) * self._rate)
        self._updated = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Connection:
    """One authenticated socket."""

    __slots__ = (
        "_close",
        "_limits",
        "_queue",
        "_waiting",
        "bucket",
        "closing",
        "eio_sid",
        "gone",
        "identity",
        "jobs",
        "listening",
        "pending_sends",
        "worker",
    )

    def __init__(
        self,
        eio_sid: str,
        identity: Identity,
        queue: SendQueue,
        limits: SendLimits,
        bucket: TokenBucket,
        close: Callable[[str, CloseReason], None],
    ) -> None:
        self.eio_sid = eio_sid
        self.identity = identity
        self.bucket = bucket
        self.closing = False
        self.gone = False
        """The socket is closed and forgotten: it must not enter a room any more."""
        self.listening: set[str] = set()
        """Rooms whose feed serves this socket."""
        self.pending_sends = 0
        """send_message events that were not answered yet."""
        self.jobs: LightQueue[Callable[[], Any]] = LightQueue()
        """join_room, leave_room and sync, done one after the other."""
        self.worker: asyncio.Task[None] | None = None
        self._queue = queue
        self._limits = limits
        self._close = close
        self._waiting = SendQueue()
        """Where packets go: aside at first, as they must not overtake the CONNECT answer."""

    @property
    def user_id(self) -> str:
        """The user behind the socket."""
        return self.identity.user_id

    def opened(self) -> None:
        """Let packets pass: the CONNECT answer is in the queue."""
        early, self._waiting = self._waiting, self._queue
        while not early.empty():
            self._queue.put_nowait(early.get_nowait())

    def send(self, frame: str) -> None:
        """Send a frame to this socket alone."""
        self.send_packet(ReadyPacket(frame))

    def send_packet(self, packet: ReadyPacket) -> None:
        """Send a packet, which may be shared with other sockets."""
        if not self.closing and not self._waiting.send(packet):
            self._close_if_far_behind()

    def send_block(self, block: Block) -> None:
        """Send packets, which may be shared with other sockets, in one write."""
        if not self.closing and not self._waiting.send_block(block):
            self._close_if_far_behind()

    def _close_if_far_behind(self) -> None:
        """Close a client for which several times the limit waits.

        Who is above it for longer, or reads nothing at all, is found by `SlowReaders`.
        """
        if self._waiting.is_above(self._limits.packets * BURST_PACKETS, self._limits.size * BURST_SIZE):
            self.close(SLOW)

    async def wait_until_read(self) -> None:
        """Wait until the client has read most of what waits for it; one that does not is closed as slow."""
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._queue.wait_below(self._limits.packets // 4, self._limits.size // 4)
        except TimeoutError:
            self.close(SLOW)

    def close(self, reason: CloseReason) -> None:
        """Close the socket soon; nothing more is sent to it."""
        if not self.closing:
            self.closing = True
            self._close(self.eio_sid, reason)


@dataclass(slots=True)
class LocalUser:
    """A user with at least one socket on this process."""

    user_id: str
    connections: set[Connection] = field(default_factory=set)
    rooms: dict[str, UserRoom] = field(default_factory=dict)


class Connections:
    """All sockets of this process, by socket, user and session."""

    def __init__(self) -> None:
        self._by_socket: dict[str, Connection] = {}
        self._users: dict[str, LocalUser] = {}
        self._left: dict[tuple[str, str], tuple[int, float]] = {}
        """(user, room) -> rev and time of a membership that ended: older facts must not bring it back."""

    def __len__(self) -> int:
        return len(self._by_socket)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_socket.values()))

    def get(self, eio_sid: str) -> Connection | None:
        """Return the connection of an Engine.IO session, if it is authenticated."""
        return self._by_socket.get(eio_sid)

    def user(self, user_id: str) -> LocalUser | None:
        """Return the user, if any of their sockets is here."""
        return self._users.get(user_id)

    def users(self) -> list[LocalUser]:
        """Return all users with sockets here."""
        return list(self._users.values())

    def of_session(self, session_id: str) -> list[Connection]:
        """Return the sockets that were opened in a session."""
        return [connection for connection in self if connection.identity.session_id == session_id]

    def add(self, connection: Connection) -> LocalUser:
        """Register a socket and return its user."""
        self._by_socket[connection.eio_sid] = connection
        user = self._users.setdefault(connection.user_id, LocalUser(connection.user_id))
        user.connections.add(connection)
        self._count()
        return user

    def remove(self, eio_sid: str) -> Connection | None:
        """Forget a socket and return it."""
        connection = self._by_socket.pop(eio_sid, None)
        if connection is None:
            return None
        connection.closing = connection.gone = True
        user = self._users[connection.user_id]
        user.connections.discard(connection)
        if not user.connections:
            del self._users[connection.user_id]
        self._count()
        return connection

    def _count(self) -> None:
        CONNECTIONS.set(len(self._by_socket))
        USERS.set(len(self._users))

    def joined(self, user: LocalUser, room: UserRoom) -> bool:
        """Note a membership; tell whether it is news and not older than the end of it."""
        left_at_rev, _ = self._left.get((user.user_id, room.room_id), (0, 0.0))
        known = user.rooms.get(room.room_id)
        if room.rev <= left_at_rev or (known is not None and known.rev >= room.rev):
            return False
        user.rooms[room.room_id] = room
        return True

    def left(self, user_id: str, room_id: str, rev: int) -> bool:
        """Note the end of a membership; tell whether it counts: an old end must not undo a newer start."""
        self._forget_old_ends()
        ended_at_rev, _ = self._left.pop((user_id, room_id), (0, 0.0))
        self._left[user_id, room_id] = (max(rev, ended_at_rev), time.monotonic())
        user = self._users.get(user_id)
        known = user.rooms.get(room_id) if user else None
        if user is None or known is None or known.rev > rev:
            return False
        del user.rooms[room_id]
        return True

    def _forget_old_ends(self) -> None:
        oldest_kept = time.monotonic() - TOMBSTONE_SECONDS
        for key, (_, noted_at) in list(islice(self._left.items(), 2)):
            if noted_at < oldest_kept or len(self._left) > MAX_TOMBSTONES:
                del self._left[key]
