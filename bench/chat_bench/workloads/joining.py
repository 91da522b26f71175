"""One connection that opens rooms and takes the time."""

import time
from types import TracebackType
from typing import Self

from chat_shared.testing import RawSocket

GOODBYE = "1"
HISTORY = '42["message-history"'


class Joiner:
    """Use it as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._socket = RawSocket(url)
        self._token = token
        self._arrived = 0.0

    async def __aenter__(self) -> Self:
        await self._socket.__aenter__()
        self._socket.on_frame = self._note
        await self._socket.log_in(self._token)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._socket.send(GOODBYE)
            await self._socket.wait_closed()
        await self._socket.__aexit__(kind, error, trace)

    def _note(self, frame: str) -> None:
        if frame.startswith(HISTORY):
            self._arrived = time.perf_counter()

    async def join(self, room_id: str) -> float:
        """Return the seconds from `join_room` to the end of `message-history`.

        Raises:
            AssertionError: it did not come.
        """
        self._socket.frames.clear()
        begun = time.perf_counter()
        await self._socket.send_event("join_room", {"roomId": room_id}, ack_id=1)
        await self._socket.wait_for(HISTORY)
        return self._arrived - begun
