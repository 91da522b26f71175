"""MongoDB, Redis and RabbitMQ: each either started here or, when its URL is given, used where it is."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from chat_local.errors import ServerAway
from chat_local.ports import PortBook
from chat_local.probes import tcp_answers
from chat_local.process import ProcessSpec
from chat_local.programs import mongod, rabbitmq, redis
from chat_local.programs.finding import Program
from chat_local.state import StateFolder

BACKING_NAMES = frozenset({mongod.NAME, redis.NAME, rabbitmq.NAME, rabbitmq.EPMD_NAME})

Report = Callable[[str], None]


class Backing:
    """The three servers behind the services. A URL that is empty means: start one."""

    def __init__(self, state: StateFolder, mongo_url: str, redis_url: str, amqp_url: str) -> None:
        self.mongo_url = mongo_url
        self.redis_url = redis_url
        self.amqp_url = amqp_url
        self._state = state

    async def prepare(self, ports: PortBook, report: Report) -> list[list[ProcessSpec]]:
        """Find the programs, check the given servers, and return what to start, in stages.

        Raises:
            ProgramMissing: a program is neither installed nor obtainable.
            ServerAway: a given server does not answer.
        """
        first, second = await asyncio.gather(
            self._prepare_rabbitmq(ports, report),
            asyncio.gather(self._prepare_mongod(ports, report), self._prepare_redis(ports, report)),
        )
        epmd, broker = first[:1], first[1:]
        return [epmd, [*broker, *(spec for specs in second for spec in specs)]]

    async def _prepare_mongod(self, ports: PortBook, report: Report) -> list[ProcessSpec]:
        if self.mongo_url:
            if not await mongod.answers(self.mongo_url):
                raise ServerAway(mongod.URL_SETTING, _where(self.mongo_url))
            return []
        program = await _find(mongod.find, report)
        port = ports.port(mongod.NAME)
        self.mongo_url = mongod.url(port)
        return [mongod.spec(program, port, self._state.data_of(mongod.NAME))]

    async def _prepare_redis(self, ports: PortBook, report: Report) -> list[ProcessSpec]:
        if self.redis_url:
            await _require(redis.URL_SETTING, self.redis_url, default_port=6379)
            return []
        program = await _find(redis.find, report)
        port = ports.port(redis.NAME)
        self.redis_url = redis.url(port)
        return [redis.spec(program, port, self._state.data_of(redis.NAME))]

    async def _prepare_rabbitmq(self, ports: PortBook, report: Report) -> list[ProcessSpec]:
        if self.amqp_url:
            await _require(rabbitmq.URL_SETTING, self.amqp_url, default_port=5672)
            return []
        if await asyncio.to_thread(rabbitmq.look) is None:
            report("Fetching RabbitMQ from Debian (32 MB, only this once)")
        program = await _find(rabbitmq.find, report)
        port, dist, epmd = (ports.port(name) for name in (rabbitmq.NAME, "rabbitmq-dist", rabbitmq.EPMD_NAME))
        self.amqp_url = rabbitmq.url(port)
        broker = rabbitmq.spec(program, port, dist, epmd, self._state.data_of(rabbitmq.NAME))
        return [rabbitmq.epmd_spec(program, epmd), broker]


async def _find(find: Callable[[], Program], report: Report) -> Program:
    program = await asyncio.to_thread(find)
    report(f"Using {program}")
    return program


async def _require(setting: str, url: str, default_port: int) -> None:
    parts = urlsplit(url)
    if not await tcp_answers(parts.hostname or "localhost", parts.port or default_port):
        raise ServerAway(setting, _where(url))


def _where(url: str) -> str:
    """Return the hosts of a URL, without the password that stands before them."""
    return urlsplit(url).netloc.rpartition("@")[2]
