"""One room as this process delivers it: every entry of the log once, in `seq` order, without a hole.

Redis pub/sub is fast and may lose, repeat or delay; the log in messaging is slow and always right. A feed
delivers what follows its head, drops what it has delivered, and fills a hole from the log first.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from chat_shared.contracts.internal import RoomEntries
from chat_shared.errors import Unavailable
from chat_shared.logging import get_logger

from chat_gateway_ws.close_reasons import SLOW
from chat_gateway_ws.connections import Connection
from chat_gateway_ws.metrics import DELIVERIES, HOLES
from chat_gateway_ws.recent import MAX_ENTRIES, Kept, Recent, RecentBudget
from chat_gateway_ws.single_flight import SingleFlight
from chat_gateway_ws.wire import Block, ReadyPacket

log = get_logger(__name__)

Entry: TypeAlias = tuple[int, str]
FetchEntries = Callable[[str, int, int], Awaitable[RoomEntries]]

FORWARD, BACK = "forward", "back"
FETCH_LIMIT = 500
BLOCK_PACKETS = 16
"""So many go to a socket in one write: it shows after that whether the client keeps up."""
MAX_AHEAD = 2_000
MAX_AHEAD_CHARACTERS = 1_048_576
MAX_HELD = 2_000
MAX_HELD_BYTES = 4 * 1_048_576


class Hold:
    """A socket that catches up: what is delivered meanwhile waits here, in order."""

    __slots__ = ("packets", "since", "size")

    def __init__(self, since: int) -> None:
        self.since = since
        """What was delivered before it began; the log is at least that long."""
        self.packets: list[Kept] = []
        self.size = 0
        """Bytes held."""

    def add(self, seq: int, packet: ReadyPacket) -> bool:
        """Keep what was delivered; tell whether there was place for it."""
        self.packets.append((seq, packet))
        self.size += packet.size
        return len(self.packets) <= MAX_HELD and self.size <= MAX_HELD_BYTES

    def sent(self, seq: int) -> None:
        """Drop what the socket has by now, up to `seq`."""
        self.packets = [(held, packet) for held, packet in self.packets if held > seq]
        self.size = sum(packet.size for _, packet in self.packets)


class Ahead:
    """Entries that arrived before the ones they follow. What has no place here is in the log."""

    __slots__ = ("_frames", "_size", "highest")

    def __init__(self) -> None:
        self._frames: dict[int, str] = {}
        self._size = 0
        self.highest = 0
        """The highest `seq` that anybody has told of."""

    def add(self, seq: int, frame: str) -> None:
        """Keep an entry while there is place."""
        self.highest = max(self.highest, seq)
        if len(self._frames) < MAX_AHEAD and self._size + len(frame) <= MAX_AHEAD_CHARACTERS:
            self._size += len(frame) - len(self._frames.get(seq, ""))
            self._frames[seq] = frame

    def take(self, seq: int) -> str | None:
        """Return the entry `seq` if it is here, and forget it."""
        frame = self._frames.pop(seq, None)
        if frame is not None:
            self._size -= len(frame)
        return frame

    def forget_rumours(self) -> None:
        """Believe only in what is here: the log does not have the rest."""
        self.highest = max(self._frames, default=0)

    def drop_until(self, seq: int) -> None:
        """Forget what was delivered."""
        if self._frames:
            self._frames = {early: frame for early, frame in self._frames.items() if early > seq}
            self._size = sum(map(len, self._frames.values()))


class RoomFeed:
    """The listeners of a room on this process and how far they were served."""

    __slots__ = ("_ahead", "_fetch", "_flights", "head", "listeners", "recent", "room_id")

    def __init__(self, room_id: str, fetch: FetchEntries, budget: RecentBudget) -> None:
        """Args:
        fetch: `(room_id, after, limit)` reads consecutive entries from the log.
        budget: of what all rooms keep of their last entries.
        """
        self.room_id = room_id
        self.head: int | None = None
        """The last `seq` delivered; None until the log was asked where the room stands."""
        self.listeners: dict[Connection, Hold | None] = {}
        """Sockets in the room; with a hold while they catch up, None once they are live."""
        self.recent = Recent(budget)
        self._fetch = fetch
        self._flights = SingleFlight()
        self._ahead = Ahead()

    @property
    def delivered(self) -> int:
        """The last `seq` delivered, 0 where nobody knows yet."""
        return self.head or 0

    @property
    def has_hole(self) -> bool:
        """Whether something is known to follow the head that was not delivered."""
        return self.head is not None and self._ahead.highest > self.head

    def start_at(self, head: int) -> bool:
        """Deliver what comes after `head`, unless the feed stands somewhere already.

        Tell whether a hole has to be filled.
        """
        if self.head is None:
            self.head = head
            self._deliver_ahead()
        return self.has_hole

    def receive(self, entries: list[Entry]) -> bool:
        """Take entries from pub/sub; tell whether a hole has to be filled."""
        due: list[str] = []
        for seq, frame in entries:
            if self.head is not None and seq == self.head + len(due) + 1:
                due.append(frame)
            elif self.head is None or seq > self.head + len(due):
                self._ahead.add(seq, frame)
        self._deliver(due)
        self._deliver_ahead()
        return self.has_hole

    async def reach(self, seq: int) -> None:
        """Go up to `seq` if the log does: what is read here is as new as the call.

        Raises:
            ChatError: messaging is away.
        """
        began_before = self._flights.is_under_way(FORWARD)
        if self.delivered < seq:
            await self.catch_up(seq)
        if self.delivered < seq and began_before:
            await self.catch_up(seq)

    async def catch_up(self, target: int = 0) -> None:
        """Fill the hole before what arrived early, and go at least up to `target`, all callers at once.

        Raises:
            ChatError: messaging is away; the next check tries again.
        """
        if self.head is None:
            return
        self._ahead.highest = max(self._ahead.highest, target)
        await self._flights.run(FORWARD, self._go_forward)

    async def _go_forward(self) -> None:
        while self.head is not None and self.has_hole:
            if self._deliver_ahead():
                continue
            answer = await self._fetch(self.room_id, self.head, FETCH_LIMIT)
            if not answer.entries:
                self._ahead.forget_rumours()
                return
            if answer.entries[0][0] > self.head + 1:
                # The room is being deleted, oldest entries first: what is missing will not come any more.
                log.warning("the log goes on behind a hole", room_id=self.room_id, head=self.head)
                self._ahead.forget_rumours()
                return
            HOLES.inc()
            due: list[str] = []
            for seq, frame in answer.entries:
                if seq == self.head + len(due) + 1:
                    due.append(frame)
            self._deliver(due)
            self._deliver_ahead()

    async def after(self, seq: int, limit: int) -> list[Kept]:
        """Return the next up to `limit` of the entries that were delivered after `seq`.

        They come from memory where it reaches back that far, or else from the log, once for all who ask for
        the same at a time.

        Raises:
            ChatError: messaging is away, or answers from the past.
        """
        kept = self.recent.after(seq, limit)
        if kept is None and not self.recent.is_full and seq >= self.delivered - MAX_ENTRIES:
            await self._flights.run(BACK, self._go_back)
            kept = self.recent.after(seq, limit)
        if kept is None:
            limit = min(limit, self.delivered - seq)
            kept = await self._flights.run((seq, limit), lambda: self._read(seq, limit))
        return kept

    async def _go_back(self) -> None:
        """Read what is missing of the last entries."""
        last = self.delivered if self.recent.first is None else self.recent.first - 1
        after = max(0, self.delivered - MAX_ENTRIES)
        older = await self._read(after, last - after)
        if last == (self.delivered if self.recent.first is None else self.recent.first - 1):
            self.recent.prepend(older)

    async def _read(self, after: int, limit: int) -> list[Kept]:
        """Return exactly the `limit` entries after `after`, all of which were delivered.

        Raises:
            Unavailable: the log does not have them. A primary that was cut off from its majority does not
                know it for some seconds and answers from the past: what it lacks would be a hole.
        """
        if limit <= 0:
            return []
        answer = await self._fetch(self.room_id, after, limit)
        if [seq for seq, _ in answer.entries] != list(range(after + 1, after + limit + 1)):
            raise Unavailable
        return [(seq, ReadyPacket(frame)) for seq, frame in answer.entries]

    def _deliver_ahead(self) -> bool:
        """Deliver what was early and has its turn now; tell whether there was any."""
        if self.head is None:
            return False
        due: list[str] = []
        while (frame := self._ahead.take(self.head + len(due) + 1)) is not None:
            due.append(frame)
        self._deliver(due)
        self._ahead.drop_until(self.head)
        return bool(due)

    def _deliver(self, due: list[str]) -> None:
        """Deliver the frames that follow the head."""
        for start in range(0, len(due), BLOCK_PACKETS):
            packets = [ReadyPacket(frame) for frame in due[start : start + BLOCK_PACKETS]]
            first, self.head = self.delivered + 1, self.delivered + len(packets)
            kept = list(enumerate(packets, first))
            for seq, packet in kept:
                self.recent.append(seq, packet)
            block = Block(packets)
            for connection, hold in self.listeners.items():
                if hold is None:
                    connection.send_block(block)
                elif not all(hold.add(seq, packet) for seq, packet in kept):
                    connection.close(SLOW)
            DELIVERIES.inc(len(self.listeners) * len(packets))

    def broadcast(self, frame: str) -> None:
        """Send a frame that is no log entry to everybody in the room."""
        packet = ReadyPacket(frame)
        for connection in self.listeners:
            connection.send_packet(packet)

    def hold(self, connection: Connection) -> Hold:
        """Collect what is delivered from now on instead of sending it to `connection`."""
        hold = Hold(self.delivered)
        self.listeners[connection] = hold
        return hold

    def is_held(self, connection: Connection, hold: Hold) -> bool:
        """Tell whether the socket is still in the room and still in this very catch-up."""
        return self.listeners.get(connection) is hold

    def release(self, connection: Connection, hold: Hold, after: int) -> None:
        """Send what was collected beyond `after` and make the connection live again."""
        if not self.is_held(connection, hold):
            return  # it left the room, or a later catch-up holds it now
        for seq, packet in hold.packets:
            if seq > after:
                connection.send_packet(packet)
        self.listeners[connection] = None
