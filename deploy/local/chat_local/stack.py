"""The whole system on one machine: which processes there are, and in which order they start and stop."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from chat_local import services
from chat_local.backing import BACKING_NAMES, Backing
from chat_local.errors import PortTaken
from chat_local.ports import PortBook, is_free
from chat_local.process import ManagedProcess, ProcessSpec
from chat_local.programs import traefik
from chat_local.routing import join
from chat_local.secret_files import ensure_secrets
from chat_local.state import StateFolder
from chat_local.supervision import Supervision


@dataclass(frozen=True)
class StackOptions:
    """What to start, and where.

    `extra_env` gives settings to processes: by instance (`messaging-1`), by service (`messaging`), or to
    all of them (`*`); the more exact name wins.
    """

    state_dir: Path
    port: int = 0
    """Traefik's port; 0 takes a free one."""
    host: str = ""
    """Address to listen on; empty means this machine only (127.0.0.1 and ::1)."""
    auth: int = 1
    rooms: int = 1
    messaging: int = 1
    media: int = 1
    gateways: int = 1
    services: bool = True
    """False starts MongoDB, Redis and RabbitMQ alone."""
    mongo_url: str = ""
    """A MongoDB to use instead of starting one; so with the next two."""
    redis_url: str = ""
    amqp_url: str = ""
    extra_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """The environment passed on to the services."""
    report: Callable[[str], None] = field(default=lambda _line: None)
    """Gets a line for everything worth telling."""

    def counts(self) -> dict[str, int]:
        """Return how many processes of each service there are."""
        if not self.services:
            return {}
        return {
            "auth": self.auth,
            "rooms": self.rooms,
            "messaging": self.messaging,
            "media": self.media,
            "gateway-ws": self.gateways,
        }


class Stack:
    """Every process of the system. Use as an async context manager, or call `start` and `stop`."""

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.secrets: dict[str, str] = {}
        self.url = ""
        self._state = StateFolder(options.state_dir)
        self._backing = Backing(self._state, options.mongo_url, options.redis_url, options.amqp_url)
        self._ports = PortBook(self._state.ports_file)
        self._public_port = 0
        self._supervision = Supervision(self._state.path)
        self._processes: dict[str, ManagedProcess] = {}

    @property
    def mongo_url(self) -> str:
        """The URL of MongoDB."""
        return self._backing.mongo_url

    @property
    def redis_url(self) -> str:
        """The URL of Redis."""
        return self._backing.redis_url

    @property
    def amqp_url(self) -> str:
        """The URL of RabbitMQ."""
        return self._backing.amqp_url

    @property
    def logs_dir(self) -> Path:
        """The folder of all log files."""
        return self._state.logs

    def process(self, name: str) -> ManagedProcess:
        """Return a process by name: `messaging-1`, `mongod`, `redis`, `rabbitmq`, `traefik`."""
        return self._processes[name]

    def instances(self, service: str) -> list[ManagedProcess]:
        """Return the processes of a service."""
        return [process for name, process in self._processes.items() if services.service_of(name) == service]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything and wait until all of it is ready.

        Raises:
            LocalStackError: something is missing, taken or fails to start; nothing is left running.
        """
        self._state.acquire()
        try:
            await self._prepare()
            await self._start_backing()
            if self.options.services:
                await self._start_services()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything: what serves requests first, then the servers it stores with."""
        self._state.url_file.unlink(missing_ok=True)
        behind = {name: self._processes[name] for name in self._processes if name in BACKING_NAMES}
        await _stop_all(process for name, process in self._processes.items() if name not in behind)
        await _stop_all(behind.values())
        await self._supervision.end()
        self._state.release()

    async def _prepare(self) -> None:
        left = await self._supervision.begin()
        if left:
            self.options.report(f"Ended {left} processes that an earlier start had left behind")
        self._state.forget_last_run()
        self._state.turn_logs()
        self.secrets = ensure_secrets(self._state.secrets)
        self._public_port = self._choose_public_port()
        self.url = f"http://localhost:{self._public_port}"

    def _choose_public_port(self) -> int:
        if not self.options.port:
            return self._ports.port(traefik.NAME)
        if not all(is_free(self.options.port, host) for host in self._hosts()):
            raise PortTaken(self.options.port)
        return self.options.port

    def _hosts(self) -> list[str]:
        if self.options.host:
            return [self.options.host]
        return ["127.0.0.1", "::1"] if is_free(0, "::1") else ["127.0.0.1"]

    async def _start_backing(self) -> None:
        stages = await self._backing.prepare(self._ports, self.options.report)
        self._ports.save()
        for specs in stages:
            await self._bring_up(specs)

    async def _start_services(self) -> None:
        ports = {name: self._ports.port(name) for name in self._instance_names()}
        ping_port = self._ports.port("traefik-ping")
        self._ports.save()
        urls: dict[str, list[str]] = {service: [] for service in services.MODULES}
        for name, port in ports.items():
            urls[services.service_of(name)].append(f"http://127.0.0.1:{port}")
        self.options.report(f"Starting {', '.join(ports)}")
        addresses = services.Addresses(
            self.url, self.mongo_url, self.redis_url, self.amqp_url, self._state.secrets, urls
        )
        await self._bring_up(
            [
                services.spec(name, port, addresses, self.options.environ, self._extra_env(name))
                for name, port in ports.items()
            ]
        )
        program = await asyncio.to_thread(traefik.find)
        listen = [join(host, self._public_port) for host in self._hosts()]
        await self._bring_up([traefik.spec(program, self._state.run / "traefik", listen, ping_port, urls)])
        self._state.url_file.write_text(self.url)

    def _instance_names(self) -> list[str]:
        counts = self.options.counts()
        return [f"{service}-{number}" for service in counts for number in range(1, counts[service] + 1)]

    def _extra_env(self, name: str) -> dict[str, str]:
        extra = self.options.extra_env
        return {**extra.get("*", {}), **extra.get(services.service_of(name), {}), **extra.get(name, {})}

    async def _bring_up(self, specs: Sequence[ProcessSpec]) -> None:
        """Start processes side by side and wait until all are ready."""
        started = [
            ManagedProcess(self._supervision.mark(spec), self._state, self.options.report) for spec in specs
        ]
        self._processes.update({process.name: process for process in started})
        try:
            async with asyncio.TaskGroup() as group:
                for process in started:
                    group.create_task(_start_and_wait(process))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None


async def _start_and_wait(process: ManagedProcess) -> None:
    await process.start()
    await process.wait_ready()


async def _stop_all(processes: Iterable[ManagedProcess]) -> None:
    await asyncio.gather(*(process.stop() for process in processes))
