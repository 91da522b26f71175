"""Which processes stand behind a service: a fixed list of URLs, or all addresses that a name has right now.

Docker and a headless Service of Kubernetes give a name one address for each process. Asking one address of
many at random, as an ordinary HTTP client does, would have two processes write into the same room at once.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from chat_shared.lifecycle import TaskSet, run_forever
from chat_shared.logging import get_logger

log = get_logger(__name__)

BY_NAME = "dns+"
"""Prefix of a URL that stands for all addresses of its name."""
LOOK_SECONDS = 2.0
LIMIT_SECONDS = 5.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, for a port."""


class Discovery:
    """Keeps the list of a service's processes current."""

    def __init__(
        self, urls: Sequence[str], on_change: Callable[[list[str]], None], resolve: Resolve | None = None
    ) -> None:
        """Args:
        urls: base URLs; `dns+http://name:port` stands for all addresses of the name.
        on_change: gets the base URLs of all processes whenever they are others than before.
        """
        self._urls = [url.rstrip("/") for url in urls]
        self._on_change = on_change
        self._resolve = resolve or _resolve
        self._addresses: dict[str, list[str]] = {}
        """What names resolved to last."""
        self._lookups: dict[str, asyncio.Future[Sequence[str]]] = {}
        """Under way, by URL: one that hangs goes on in a thread, and a second one would only hang too."""
        self._tasks = TaskSet()

    @property
    def current(self) -> list[str]:
        """The base URLs of all processes, as far as they are known."""
        return [each for url in self._urls for each in self._behind(url)]

    async def start(self) -> None:
        """Look names up, now and then every other second; a name that cannot be looked up holds up nobody."""
        if any(url.startswith(BY_NAME) for url in self._urls):
            self._tasks.spawn(run_forever(self.look, name="discovery", pause=LOOK_SECONDS), name="discovery")

    async def stop(self) -> None:
        """End the looking up."""
        await self._tasks.cancel()
        for lookup in self._lookups.values():
            lookup.cancel()

    async def look(self) -> None:
        """Look all names up; one that cannot be looked up keeps the addresses that it had."""
        before = self.current
        for url in self._urls:
            if url.startswith(BY_NAME):
                await self._look_up(url)
        if self.current != before:
            log.info("processes found", urls=self.current)
            self._on_change(self.current)

    async def _look_up(self, url: str) -> None:
        parts = urlsplit(url.removeprefix(BY_NAME))
        port = parts.port or 80
        lookup = self._lookups.get(url) or asyncio.ensure_future(self._resolve(parts.hostname or "", port))
        self._lookups[url] = lookup
        await asyncio.wait({lookup}, timeout=LIMIT_SECONDS)
        if not lookup.done():
            log.warning("name not looked up", name=parts.hostname, error="no answer yet")
            return
        del self._lookups[url]
        try:
            addresses = lookup.result()
        except OSError as error:
            log.warning("name not looked up", name=parts.hostname, error=repr(error)[:200])
            return
        self._addresses[url] = [f"http://{_host(address)}:{port}" for address in sorted(set(addresses))]

    def _behind(self, url: str) -> list[str]:
        return self._addresses.get(url, []) if url.startswith(BY_NAME) else [url]


async def _resolve(name: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _host(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
