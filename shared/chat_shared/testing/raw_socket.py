"""A WebSocket that speaks Engine.IO by hand: it can send what no client would, and sees every frame."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from chat_shared.testing.event_contract import check_frame

OPEN, CONNECTED, CONNECT_REFUSED, EVENT, ACK, DISCONNECT = "0", "40", "44", "42", "43", "41"
PING, PONG = "2", "3"
WAIT_SECONDS = 5.0


class RawSocket:
    """Frames as they are on the wire; heartbeats are answered, nothing else is done by itself.

    `frames` holds all text frames that arrived, in order, heartbeats left out.
    """

    def __init__(self, url: str, **headers: str) -> None:
        """`headers` go into the handshake, such as `Origin`."""
        self.on_frame: Callable[[str], None] = lambda _frame: None
        """Called with each text frame as it arrives."""
        self.answers_heartbeats = True
        self.heartbeats = 0
        """How many arrived."""
        self._url = f"{url}/socket.io/?EIO=4&transport=websocket"
        self._headers = headers
        self._http: aiohttp.ClientSession | None = None
        self._changed = asyncio.Event()
        self._asked: dict[int, str] = {}
        self._reader: asyncio.Task[None] | None = None
        self.frames: list[str] = []
        self.closed = asyncio.Event()

    @property
    def close_code(self) -> int | None:
        """The code of the close frame; 1006 when the connection was cut without one."""
        return self._socket.close_code

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self._socket = await self._http.ws_connect(self._url, headers=self._headers, max_msg_size=0)
        except BaseException:
            await self._http.close()
            raise
        self._reader = asyncio.create_task(self._read())
        await self.wait_for(OPEN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        assert self._reader is not None
        self._reader.cancel()
        await self._http.close()

    async def log_in(self, token: str) -> None:
        """Send a CONNECT with this token and wait until it is accepted."""
        await self.send("40" + orjson.dumps({"token": token}).decode())
        await self.wait_for(CONNECTED)

    async def send(self, frame: str | bytes) -> None:
        """Send one frame as it stands."""
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_str(frame)

    async def send_event(self, name: Any, *arguments: Any, ack_id: int | None = None) -> None:
        """Send an event packet, with the number under which it is to be acknowledged."""
        number = "" if ack_id is None else str(ack_id)
        if ack_id is not None:
            self._asked[ack_id] = str(name)
        await self.send(f"{EVENT}{number}{orjson.dumps([name, *arguments]).decode()}")

    def answers(self) -> dict[int, list[dict[str, Any]]]:
        """Return all acknowledgements so far, by number."""
        answers: dict[int, list[dict[str, Any]]] = {}
        for frame in self.frames:
            if frame.startswith(ACK):
                number, _, rest = frame[len(ACK) :].partition("[")
                answers.setdefault(int(number), []).extend(orjson.loads(f"[{rest}"))
        return answers

    async def wait_for(self, prefix: str, timeout: float = WAIT_SECONDS) -> str:
        """Return the first frame that begins with `prefix`.

        Raises:
            AssertionError: there is none within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (found := [frame for frame in self.frames if frame.startswith(prefix)]):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {prefix}… within {timeout} s; received: {self.frames}") from None
        return found[0]

    async def wait_closed(self, timeout: float = WAIT_SECONDS) -> None:
        """Return when the server has closed the connection.

        Raises:
            AssertionError: it is open after `timeout` seconds.
        """
        try:
            await asyncio.wait_for(self.closed.wait(), timeout)
        except TimeoutError:
            raise AssertionError(f"open after {timeout} s; received: {self.frames}") from None

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            if message.data == PING:
                self.heartbeats += 1
                self._changed.set()
                if self.answers_heartbeats:
                    await self._socket.send_str(PONG)
                continue
            self.frames.append(message.data)
            check_frame(message.data, self._asked)
            self.on_frame(message.data)
            self._changed.set()
        self.closed.set()
