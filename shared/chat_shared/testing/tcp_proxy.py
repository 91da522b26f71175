"""A TCP proxy in front of a server, for links that go silent."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from chat_shared.lifecycle import TaskSet


class TcpProxy:
    """Passes bytes on until it is told to swallow them. Use as an async context manager."""

    def __init__(self, host: str, port: int) -> None:
        """`host`, `port`: the server behind it."""
        self._target = (host, port)
        self._tasks = TaskSet()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._swallowed: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.swallows_answers = False
        """Whether what the server says gets lost; what clients say goes on arriving."""
        self.swallows_requests = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._tasks.cancel()

    def swallow(self, swallow: bool) -> None:
        """Swallow everything in both directions, or pass everything on again."""
        self.swallows_answers = self.swallows_requests = swallow

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_server}
        self._tasks.spawn(self._pump(reader, to_server, is_answer=False), name="proxy")
        self._tasks.spawn(self._pump(from_server, writer, is_answer=True), name="proxy")

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if writer in self._swallowed or (
                    self.swallows_answers if is_answer else self.swallows_requests
                ):
                    self._swallowed.add(writer)  # a stream with a hole in it is no use any more
                else:
                    writer.write(data)
        writer.close()
        self._writers.discard(writer)
