"""`message-history`, put together from ready-made frames without reading what is in them."""

from collections.abc import Sequence
from weakref import WeakValueDictionary

from chat_gateway_ws.recent import Kept
from chat_gateway_ws.wire import ReadyPacket, payload_of, raw_event_frame

#: Pages that wait for some socket: in a storm many wait for the same one, which then takes memory once.
_waiting: WeakValueDictionary[tuple[object, ...], ReadyPacket] = WeakValueDictionary()


class HistoryPage:
    """Consecutive messages of a room."""

    __slots__ = ("_entries", "_room_id", "epoch", "head", "is_reset", "last")

    def __init__(self, room_id: str, after: int, entries: Sequence[Kept], head: int, epoch: int) -> None:
        """Args:
        after: what the page follows.
        head: where the room stood.
        """
        self._room_id = room_id
        self._entries = entries
        self.head = max(head, entries[-1][0]) if entries else head
        self.epoch = epoch
        self.is_reset = False
        """It does not follow what the client has."""
        self.last = entries[-1][0] if entries else after

    @property
    def is_last(self) -> bool:
        """Whether it goes up to the head."""
        return self.last >= self.head

    def packet(self) -> ReadyPacket:
        """Return the event; sockets that get the same one share it."""
        first = self._entries[0][0] if self._entries else None
        key = (self._room_id, first, self.last, self.head, self.epoch, self.is_reset)
        packet = _waiting.get(key)
        if packet is None:
            packet = _waiting[key] = self._make_packet()
        return packet

    def _make_packet(self) -> ReadyPacket:
        messages = ",".join(payload_of(packet) for _, packet in self._entries)
        reset = "true" if self.is_reset else "false"
        payload = (
            f'{{"roomId":"{self._room_id}","messages":[{messages}],'
            f'"head":{self.head},"epoch":{self.epoch},"reset":{reset}}}'
        )
        return ReadyPacket(raw_event_frame("message-history", payload))
