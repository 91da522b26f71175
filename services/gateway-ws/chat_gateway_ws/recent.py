"""The last entries of each room, kept for sockets that come back: a storm of them must not reach the log."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

from chat_gateway_ws.metrics import RECENT_BYTES
from chat_gateway_ws.wire import ReadyPacket

Kept: TypeAlias = tuple[int, ReadyPacket]

MAX_ENTRIES = 200
MAX_BYTES = 256 * 1024


class RecentBudget:
    """What all rooms may keep together; the rooms that were used least recently give way."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used = 0
        self._rooms: OrderedDict[Recent, None] = OrderedDict()

    @property
    def used(self) -> int:
        """Bytes kept."""
        return self._used

    def changed(self, recent: "Recent", added: int) -> None:
        """Note that a room was used and keeps `added` bytes more; make others give way."""
        self._used += added
        if recent.size:
            self._rooms[recent] = None
            self._rooms.move_to_end(recent)
        else:
            self._rooms.pop(recent, None)
        while self._used > self._max_bytes and self._rooms:
            next(iter(self._rooms)).clear()
        RECENT_BYTES.set(self._used)


class Recent:
    """Consecutive entries of one room, up to the last one delivered."""

    __slots__ = ("_budget", "_entries", "is_full", "size")

    def __init__(self, budget: RecentBudget) -> None:
        self._budget = budget
        self._entries: deque[Kept] = deque()
        self.size = 0
        """Bytes kept."""
        self.is_full = False
        """It had to drop something: older entries than these have no place here."""

    @property
    def first(self) -> int | None:
        """The oldest `seq` kept; None when there is nothing."""
        return self._entries[0][0] if self._entries else None

    def append(self, seq: int, packet: ReadyPacket) -> None:
        """Keep an entry that was delivered now."""
        before = self.size
        if self._entries and self._entries[-1][0] != seq - 1:
            self._drop_all()
        self._entries.append((seq, packet))
        self.size += packet.size
        while len(self._entries) > MAX_ENTRIES or self.size > MAX_BYTES:
            self.is_full = True
            self.size -= self._entries.popleft()[1].size
        self._budget.changed(self, self.size - before)

    def prepend(self, older: Sequence[Kept]) -> None:
        """Keep entries that come right before those kept, as many as there is place for."""
        before = self.size
        for seq, packet in reversed(older):
            size = packet.size
            if len(self._entries) >= MAX_ENTRIES or self.size + size > MAX_BYTES:
                self.is_full = True
                break
            self._entries.appendleft((seq, packet))
            self.size += size
        self._budget.changed(self, self.size - before)

    def after(self, seq: int, limit: int) -> list[Kept] | None:
        """Return up to `limit` entries that follow `seq`; None when they do not reach back that far."""
        first = self.first
        if first is None or seq < first - 1:
            return None
        self._budget.changed(self, 0)
        start = seq + 1 - first
        return list(islice(self._entries, start, start + limit))

    def clear(self) -> None:
        """Keep nothing."""
        before = self.size
        self._drop_all()
        self._budget.changed(self, -before)

    def _drop_all(self) -> None:
        self._entries.clear()
        self.size = 0
        self.is_full = False
