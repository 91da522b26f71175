"""The whole system on one machine with every link between its processes in our hand.

Two gateways, two messaging processes, one each of the other services, three mongods, Redis, RabbitMQ and
Traefik. Services reach the servers, and gateways reach messaging, through proxies.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from chat_local.errors import StartFailed
from chat_local.ports import PortBook
from chat_local.process import ManagedProcess
from chat_local.stack import Stack, StackOptions
from chat_local.state import StateFolder
from chat_local.supervision import Supervision
from chat_shared.testing import eventually

from chat_faults.network import Links
from chat_faults.replica_set import NODES, ReplicaSet

REDIS = "redis"
RABBITMQ = "rabbitmq"
PUBLIC = "public"
"""The link between clients and Traefik."""
SERVERS = (*NODES, REDIS, RABBITMQ)
DRAIN_SECONDS = 20
READY_SECONDS = 90.0

#: The machine's own settings must not change what is tested.
_FOREIGN = ("CHAT_", "CLOUDINARY_", "MONGO", "REDIS_", "RABBITMQ_", "AMQP_", "ACCESS_TOKEN", "REFRESH_TOKEN")

#: What a long run of an unusual number of clients on one machine needs, and nothing else.
SETTINGS = {
    "auth": {"ACCESS_TOKEN_EXPIRY": "12h"},
    "gateway-ws": {
        "CHAT_DRAIN_WAIT_SECONDS": "3",
        "CHAT_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "CHAT_MAX_SOCKETS_PER_USER": "1000",
        "CHAT_EVENTS_PER_SECOND": "100",
    },
}


class Rig:
    """The running system, its processes by name, and its links."""

    def __init__(self, folder: Path, links: Links, messaging: int = 2) -> None:
        """`messaging`: how many processes of messaging."""
        self.links = links
        self._messaging = messaging
        self._servers = StateFolder(folder / "mongod")
        self._ports = PortBook(folder / "ports.json")
        self._supervision = Supervision(self._servers.path)
        self.replica_set = ReplicaSet(self._servers, links, self._ports, self._supervision)
        self.folder = folder
        self.linked_url = ""
        """The same for clients whose connections are to be broken."""
        self._backing: Stack | None = None
        self._services: Stack | None = None

    @property
    def services(self) -> Stack:
        """The stack of services."""
        assert self._services is not None
        return self._services

    @property
    def url(self) -> str:
        """The one URL of clients."""
        return self.services.url

    @property
    def redis_url(self) -> str:
        """Redis itself, past its link."""
        assert self._backing is not None
        return self._backing.redis_url

    @property
    def amqp_url(self) -> str:
        """RabbitMQ itself, past its link."""
        assert self._backing is not None
        return self._backing.amqp_url

    def process(self, name: str) -> ManagedProcess:
        """Return a process by name: `gateway-ws-1`, `mongod-2`, `redis`, `rabbitmq`, `traefik`."""
        if name in self.replica_set.processes:
            return self.replica_set.processes[name]
        assert self._backing is not None
        return (self._backing if name in (REDIS, RABBITMQ) else self.services).process(name)

    def instances(self, service: str) -> list[str]:
        """Return the names of a service's processes."""
        return [process.name for process in self.services.instances(service)]

    @property
    def names(self) -> list[str]:
        """The names of all processes whose loss the system has to bear."""
        counted = ("auth", "rooms", "messaging", "media", "gateway-ws")
        return [*SERVERS, *(name for service in counted for name in self.instances(service)), "traefik"]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        """Start everything, and end it after the block."""
        async with AsyncExitStack() as stack:
            self._servers.acquire()
            stack.callback(self._servers.release)
            await self._supervision.begin()
            stack.push_async_callback(self._supervision.end)
            stack.push_async_callback(self.replica_set.stop)
            await self.replica_set.start()
            self._backing = await stack.enter_async_context(Stack(self._backing_options()))
            redis = await self._open(REDIS, self._backing.redis_url)
            amqp = await self._open(RABBITMQ, self._backing.amqp_url)
            self._services = Stack(await self._service_options(redis, amqp))
            stack.push_async_callback(self._services.stop)
            stack.callback(self._kill_gateways)  # a drain in order takes its time
            await self._services.start()
            port = await self.links.open(PUBLIC, urlsplit(self.url).port or 80)
            self.linked_url = f"http://localhost:{port}"
            yield self

    async def _open(self, name: str, url: str) -> str:
        """Put a link before a server; return the URL that leads through it."""
        parts = urlsplit(url)
        port = await self.links.open(name, parts.port or 0)
        return url.replace(f":{parts.port}", f":{port}")

    def _backing_options(self) -> StackOptions:
        return StackOptions(
            self.folder / "backing", services=False, mongo_url=self.replica_set.url, environ=_environment()
        )

    async def _service_options(self, redis_url: str, amqp_url: str) -> StackOptions:
        folder = self.folder / "services"
        (folder / "run").mkdir(parents=True)
        ports = PortBook(folder / "run" / "ports.json")  # known before the start: the links lead there
        urls = []
        for number in range(1, self._messaging + 1):
            name = f"messaging-{number}"
            urls.append(f"http://127.0.0.1:{await self.links.open(name, ports.port(name))}")
        ports.save()
        gateways = {**SETTINGS["gateway-ws"], "CHAT_MESSAGING_URLS": ",".join(urls)}
        return StackOptions(
            folder,
            gateways=2,
            messaging=self._messaging,
            mongo_url=self.replica_set.url,
            redis_url=redis_url,
            amqp_url=amqp_url,
            extra_env={**SETTINGS, "gateway-ws": gateways},
            environ=_environment(),
        )

    def _kill_gateways(self) -> None:
        for name in self.instances("gateway-ws"):
            process = self.process(name)
            process.auto_restart = False
            if process.is_running:
                process.kill()

    def kill(self, name: str, *, stays_down: bool = False) -> None:
        """End a process as a crash does; it is started again at once unless it `stays_down`."""
        process = self.process(name)
        process.auto_restart = not stays_down
        if process.is_running:
            process.kill()

    async def bring_back(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start a process that is down, or restart one with other settings, and wait until it is ready."""
        await self.replace(name, env)
        process = self.process(name)
        process.auto_restart = True
        await process.wait_ready(READY_SECONDS)

    async def replace(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Kill a process if it runs and start another one, which stays down when it ends."""
        process = self.process(name)
        process.auto_restart = False
        if process.is_running:
            process.kill()
            await process.wait_exit()
        await process.restart(env)

    @asynccontextmanager
    async def frozen(self, name: str) -> AsyncIterator[None]:
        """Freeze a process for the time of the block."""
        process = self.process(name)
        process.kill(signal.SIGSTOP)
        try:
            yield
        finally:
            process.kill(signal.SIGCONT)

    async def make_whole(self) -> None:
        """Mend every link and bring back every process, so that the next run finds all in order.

        Raises:
            StartFailed: a process is not ready in time; it was killed and started anew.
        """
        for name in (*SERVERS, *self.instances("messaging"), PUBLIC):
            await self.links.set(name)
        for name in self.names:
            process = self.process(name)
            process.auto_restart = True
            if not process.is_running:
                await process.restart()
        try:
            await asyncio.gather(*(self.process(name).wait_ready(READY_SECONDS) for name in self.names))
        except StartFailed as failure:
            await self.bring_back(failure.name)
            raise
        await self.replica_set.wait_whole()

    async def wait_ready(self, name: str, timeout: float = READY_SECONDS) -> None:
        """Wait until a process is ready, through restarts."""
        await self.process(name).wait_ready(timeout)

    async def wait_restarted(self, name: str, old_pid: int, timeout: float = READY_SECONDS) -> None:
        """Wait until another process than `old_pid` bears the name and is ready."""
        process = self.process(name)
        await eventually(lambda: process.is_running and process.pid != old_pid, timeout, f"a new {name}")
        await process.wait_ready(timeout)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


@asynccontextmanager
async def start_rig(folder: Path, seed: str, *, messaging: int = 2) -> AsyncIterator[Rig]:
    """Start the proxies and the system behind them; all ends with the block."""
    async with Links(seed) as links, Rig(folder, links, messaging).running() as rig:
        yield rig
