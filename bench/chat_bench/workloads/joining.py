"""One connection that opens rooms and takes the time."""

import asyncio
import time
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from chat_bench.errors import NotReached

OPEN, CONNECTED, PING, PONG = "0", "40", "2", "3"
HISTORY = '42["message-history"'
PATIENCE_SECONDS = 10.0


class Joiner:
    """Use it as an async context manager."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url}/socket.io/?EIO=4&transport=websocket"
        self._token = token
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        try:
            self._socket = await self._http.ws_connect(self._url, max_msg_size=0)
            await self._wait_for(OPEN)
            await self._socket.send_str(f"40{orjson.dumps({'token': self._token}).decode()}")
            await self._wait_for(CONNECTED)
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._http is not None
        await self._socket.close()
        await self._http.close()

    async def join(self, room_id: str) -> float:
        """Return the seconds from `join_room` to `message-history`.

        Raises:
            NotReached: it did not come.
        """
        begun = time.perf_counter()
        await self._socket.send_str(f'421["join_room",{{"roomId":"{room_id}"}}]')
        await self._wait_for(HISTORY)
        return time.perf_counter() - begun

    async def _wait_for(self, prefix: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not (frame := await self._socket.receive_str()).startswith(prefix):
                    if frame == PING:
                        await self._socket.send_str(PONG)
        except (TimeoutError, aiohttp.ClientError, TypeError) as error:  # TypeError: it was closed
            raise NotReached(f"no {prefix} from {self._url}") from error
