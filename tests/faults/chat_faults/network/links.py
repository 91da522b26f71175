"""The proxies as the kit uses them: opened by name, broken and mended by name."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

ANSWER_SECONDS = 10.0


class Links:
    """A process with one proxy per link. Use as an async context manager."""

    def __init__(self, seed: str) -> None:
        """`seed`: decides which connections are cut and which messages are lost."""
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0

    async def __aenter__(self) -> "Links":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_faults.network.proxy_server", self._seed),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reader is not None
        self._process.stdin.close()  # which ends the process
        await self._process.wait()
        await self._reader

    async def open(self, name: str, target: int) -> int:
        """Make a link to a port of this machine; return the port to use instead."""
        port: int = await self._do("open", name, target=target)
        return port

    async def aim(self, name: str, target: int) -> None:
        """Change where new connections of a link lead."""
        await self._do("aim", name, target=target)

    async def set(self, name: str, **toxics: Any) -> None:
        """Set what is wrong with a link (see `Toxics`); nothing mends it."""
        await self._do("set", name, **toxics)

    @asynccontextmanager
    async def broken(self, *names: str, **toxics: Any) -> AsyncIterator[None]:
        """Break links for the time of the block."""
        for name in names:
            await self.set(name, **toxics)
        try:
            yield
        finally:
            for name in names:
                await self.set(name)

    async def cut(self, name: str, share: float = 1.0, *, half_open: bool = False) -> int:
        """Cut a share of a link's connections; return how many.

        Args:
            half_open: the server is not told and goes on sending into the void.
        """
        count: int = await self._do("cut", name, share=share, half_open=half_open)
        return count

    async def down(self, name: str) -> None:
        """Refuse new connections and cut the old ones."""
        await self._do("down", name)

    async def up(self, name: str) -> None:
        """Take connections again."""
        await self._do("up", name)

    async def dropped(self, name: str) -> int:
        """Return how many pub/sub messages were lost on a link."""
        count: int = await self._do("dropped", name)
        return count

    async def _do(self, what: str, name: str, **arguments: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        command = {"id": self._asked, "do": what, "link": name, "arguments": arguments}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await asyncio.wait_for(answer, ANSWER_SECONDS)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            future = self._answers.pop(answer["id"])
            if future.done():
                continue
            if "error" in answer:
                future.set_exception(RuntimeError(answer["error"]))
            else:
                future.set_result(answer["value"])
