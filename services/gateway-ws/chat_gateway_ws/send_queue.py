"""What waits for one client, and the short way past it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chat_gateway_ws.light import LightEvent, LightQueue
from chat_gateway_ws.wire import Block, ReadyPacket


class Writable(Protocol):
    """A WebSocket that takes whole frames."""

    def write_frames(self, frames: bytes) -> bool:
        """Write frames if the client keeps up; tell whether they were written."""


@dataclass(frozen=True, slots=True)
class SendLimits:
    """How many packets, and bytes in them, may wait for one client."""

    packets: int
    size: int


class SendQueue(LightQueue[Any]):
    """The packets that wait for one client, with the memory that they hold.

    Nothing waits for a WebSocket whose client keeps up: what is ready is written at once.
    """

    __slots__ = (
        "_eased",
        "_fewest",
        "_smallest",
        "_start_writer",
        "_websocket",
        "_writer_is_idle",
        "taken",
        "waiting_size",
    )

    def __init__(self) -> None:
        super().__init__()
        self.waiting_size = 0
        self.taken = 0
        """How many packets were taken out, ever."""
        self._websocket: Writable | None = None
        self._writer_is_idle = False
        """Whether there is a WebSocket, and all that ever waited for it was written."""
        self._start_writer: Callable[[], None] = _nobody
        self._fewest = 0
        self._smallest = 0
        self._eased = LightEvent()

    def lead_to(self, websocket: Writable, start_writer: Callable[[], None]) -> None:
        """Write ready packets to this WebSocket from now on, as long as nothing waits before them.

        Args:
            start_writer: called when something waits; what it starts takes it out until nothing is left,
                writes it, and then calls `written`.
        """
        self._websocket, self._start_writer = websocket, start_writer
        if self.empty():
            self._writer_is_idle = True
        else:
            start_writer()

    def written(self) -> None:
        """The writer has written all that waited, and ends."""
        self._writer_is_idle = True

    def put_nowait(self, item: Any) -> None:
        """Add a packet, or None for the end."""
        self.waiting_size += _size(item)
        super().put_nowait(item)
        if self._writer_is_idle:
            self._writer_is_idle = False
            self._start_writer()

    def get_nowait(self) -> Any:
        """Take the oldest packet, or the None that ends it all.

        Raises:
            asyncio.QueueEmpty: nothing waits.
        """
        item = super().get_nowait()
        self.waiting_size -= _size(item)
        self.taken += 1
        self._fewest = min(self._fewest, self.qsize())
        self._smallest = min(self._smallest, self.waiting_size)
        self._eased.set()
        return item

    def send(self, packet: ReadyPacket) -> bool:
        """Write a packet at once if everything before it was, or let it wait; tell whether it was written."""
        if self._write(packet.wire):
            return True
        self.put_nowait(packet)
        return False

    def send_block(self, block: Block) -> bool:
        """Do the same for several packets."""
        if self._write(block.wire):
            return True
        for packet in block.packets:
            self.put_nowait(packet)
        return False

    def _write(self, frames: bytes) -> bool:
        return self._writer_is_idle and self._websocket is not None and self._websocket.write_frames(frames)

    def discard(self) -> None:
        """Drop what waits: nobody will read it."""
        while not self.empty():
            self.get_nowait()

    def is_above(self, packets: int, size: int) -> bool:
        """Tell whether more than that many packets or bytes wait."""
        return self.qsize() > packets or self.waiting_size > size

    def stayed_above(self, packets: int, size: int) -> bool:
        """Tell whether more than that many packets or bytes waited all the time since this was last asked."""
        stayed = self._fewest > packets or self._smallest > size
        self._fewest, self._smallest = self.qsize(), self.waiting_size
        return stayed

    async def wait_below(self, packets: int, size: int) -> None:
        """Return when no more than that many packets and bytes wait."""
        while self.is_above(packets, size):
            self._eased.clear()
            await self._eased.wait()


def _size(item: Any) -> int:
    return item.size if isinstance(item, ReadyPacket) else 0


def _nobody() -> None:
    """Whoever polls comes by himself."""
