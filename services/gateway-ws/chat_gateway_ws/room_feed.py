"""One room as this process delivers it: every entry of the log once, in `seq` order, without a hole.

Redis pub/sub is fast and may lose, repeat or delay; the log in messaging is slow and always right. A feed
delivers what follows its head, drops what it has delivered, and fills a hole from the log first.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from chat_shared.contracts.internal import RoomEntries
from chat_shared.logging import get_logger
from engineio import packet as engine_packet

from chat_gateway_ws.close_reasons import SLOW
from chat_gateway_ws.connections import Connection
from chat_gateway_ws.metrics import DELIVERIES, HOLES
from chat_gateway_ws.wire import to_packet

log = get_logger(__name__)

Entry: TypeAlias = tuple[int, str]
FetchEntries = Callable[[str, int], Awaitable[RoomEntries]]

MAX_AHEAD = 2_000
MAX_HELD = 2_000


class Hold:
    """A socket that catches up: what is delivered meanwhile waits here, in order."""

    __slots__ = ("packets", "since")

    def __init__(self, since: int) -> None:
        self.since = since
        """What was delivered before it began; the log is at least that long."""
        self.packets: list[tuple[int, engine_packet.Packet]] = []


class RoomFeed:
    """The listeners of a room on this process and how far they were served."""

    __slots__ = ("_ahead", "_fetch", "_filling", "head", "listeners", "room_id")

    def __init__(self, room_id: str, fetch: FetchEntries) -> None:
        """`fetch(room_id, after)` reads consecutive entries from the log."""
        self.room_id = room_id
        self.head: int | None = None
        """The last `seq` delivered; None until the log was asked where the room stands."""
        self.listeners: dict[Connection, Hold | None] = {}
        """Sockets in the room; with a hold while they catch up, None once they are live."""
        self._fetch = fetch
        self._ahead: dict[int, str] = {}
        """Entries that arrived before the ones they follow."""
        self._filling = False

    def start_at(self, head: int) -> None:
        """Deliver what comes after `head`, unless the feed stands somewhere already."""
        if self.head is None:
            self.head = head
            self._deliver_ahead()

    def receive(self, entries: list[Entry]) -> bool:
        """Take entries from pub/sub; tell whether a hole has to be filled."""
        for seq, frame in entries:
            if self.head is not None and seq == self.head + 1:
                self._deliver(seq, frame)
            elif (self.head is None or seq > self.head) and len(self._ahead) < MAX_AHEAD:
                self._ahead[seq] = frame
        self._deliver_ahead()
        return self.head is not None and bool(self._ahead)

    async def catch_up(self, target: int = 0) -> None:
        """Fill the hole before what arrived early, and go at least up to `target`; one caller at a time.

        Raises:
            ChatError: messaging is away; the next check tries again.
        """
        if self._filling or self.head is None:
            return
        self._filling = True
        try:
            while self._ahead or self.head < target:
                if self._deliver_ahead():
                    continue
                answer = await self._fetch(self.room_id, self.head)
                if not answer.entries:
                    return
                if answer.entries[0][0] > self.head + 1:
                    # The room is being deleted, oldest entries first: what is missing will not come any more.
                    log.warning("the log goes on behind a hole", room_id=self.room_id, head=self.head)
                    return
                HOLES.inc()
                for seq, frame in answer.entries:
                    if seq == self.head + 1:
                        self._deliver(seq, frame)
                self._deliver_ahead()
        finally:
            self._filling = False

    def _deliver_ahead(self) -> bool:
        """Deliver what was early and has its turn now; tell whether there was any."""
        if self.head is None or not self._ahead:
            return False
        before = self.head
        while (frame := self._ahead.pop(self.head + 1, None)) is not None:
            self._deliver(self.head + 1, frame)
        if self._ahead:
            self._ahead = {seq: frame for seq, frame in self._ahead.items() if seq > self.head}
        return self.head > before

    def _deliver(self, seq: int, frame: str) -> None:
        packet = to_packet(frame)
        self.head = seq
        for connection, hold in self.listeners.items():
            if hold is None:
                connection.send_packet(packet)
            else:
                hold.packets.append((seq, packet))
                if len(hold.packets) > MAX_HELD:
                    connection.close(SLOW)
        DELIVERIES.inc(len(self.listeners))

    def broadcast(self, frame: str, *, except_user: str | None = None) -> None:
        """Send a frame that is no log entry (presence, typing) to everybody in the room."""
        packet = to_packet(frame)
        for connection in self.listeners:
            if connection.user_id != except_user:
                connection.send_packet(packet)

    def hold(self, connection: Connection) -> Hold:
        """Collect what is delivered from now on instead of sending it to `connection`."""
        hold = Hold(self.head or 0)
        self.listeners[connection] = hold
        return hold

    def release(self, connection: Connection, hold: Hold, after: int) -> None:
        """Send what was collected beyond `after` and make the connection live again."""
        if self.listeners.get(connection) is not hold:
            return  # it left the room, or a later catch-up holds it now
        for seq, packet in hold.packets:
            if seq > after:
                connection.send_packet(packet)
        self.listeners[connection] = None
