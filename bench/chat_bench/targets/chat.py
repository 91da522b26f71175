"""Our services, run as `make run` runs them, on the servers that all targets share."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from chat_local.stack import Stack, StackOptions
from chat_shared.testing import ApiClient
from chat_shared.testing.api_client import API

from chat_bench.errors import NotReached
from chat_bench.targets.accounts import Accounts, join_all, leave_all, make_rooms
from chat_bench.targets.backing import MONGOD, RABBITMQ, REDIS, environment, pids_of
from chat_bench.targets.target import Circles, Ground, Page

TRAEFIK = "traefik"
GATEWAY = "gateway-ws"
PAGE = 50

#: Limits per user and per address: here a few users at one address do what thousands would.
#: All else is as it is delivered.
SETTINGS = {
    "auth": {"ACCESS_TOKEN_EXPIRY": "24h", "CHAT_REGISTER_ADDRESS_RATE": "1000000/hour"},
    "rooms": {"CHAT_MAX_ROOMS_PER_USER": "5000", "CHAT_CREATE_ROOM_RATE": "1000000/hour"},
    "gateway-ws": {
        "CHAT_EVENTS_PER_SECOND": "100000",
        "CHAT_EVENTS_BURST": "100000",
        "CHAT_MAX_PENDING_SENDS": "10000",
        "CHAT_MAX_SOCKETS_PER_USER": "1000",
        "CHAT_MAX_HANDSHAKES": "10000",
        "CHAT_MAX_HANDSHAKES_PER_ADDRESS": "10000",
    },
}


class ChatTarget:
    """Five services, and Traefik where traffic goes through it."""

    name = "chat"
    holders = (GATEWAY,)
    keeps_order = True
    forgets_seconds = 35.0
    """Presence announces at most two changes of a user in 30 seconds."""

    def __init__(
        self,
        folder: Path,
        backing: Stack,
        accounts: Accounts,
        *,
        gateways: int = 1,
        messaging: int = 1,
        through_traefik: bool = False,
    ) -> None:
        """Args:
        folder: for logs and secrets; the secrets outlive a stop.
        accounts: the users, which outlive it too.
        through_traefik: clients use the public URL instead of the gateways' own ports.
        """
        self._folder = folder / "chat"
        self._backing = backing
        self._gateways = gateways
        self._messaging = messaging
        self._through_traefik = through_traefik
        self._accounts = accounts
        self._circles: dict[str, Sequence[int]] = {}
        """Who is in which room, by room id."""
        self._stack: Stack | None = None

    @property
    def stack(self) -> Stack:
        """The running services."""
        assert self._stack is not None
        return self._stack

    @property
    def urls(self) -> list[str]:
        """The gateways, or the public URL."""
        if self._through_traefik:
            return [self.stack.url]
        return [process.url for process in self.stack.instances(GATEWAY)]

    def processes(self) -> dict[str, list[int]]:
        """Return all services, the servers behind them, and Traefik when it is in use."""
        services = self.stack.options.counts()
        found = {service: [process.pid for process in self.stack.instances(service)] for service in services}
        if self._through_traefik:
            found[TRAEFIK] = [self.stack.process(TRAEFIK).pid]
        return found | pids_of(self._backing, [MONGOD, REDIS, RABBITMQ])

    async def start(self) -> None:
        """Start all services; what dies afterwards stays dead, so that it shows."""
        self._stack = Stack(
            StackOptions(
                self._folder,
                gateways=self._gateways,
                messaging=self._messaging,
                mongo_url=self._backing.mongo_url,
                redis_url=self._backing.redis_url,
                amqp_url=self._backing.amqp_url,
                extra_env=SETTINGS,
                environ=environment(),
            )
        )
        await self._stack.start()
        for service in self._stack.options.counts():
            for process in self._stack.instances(service):
                process.auto_restart = False

    async def stop(self) -> None:
        """Stop all services."""
        await self.stack.stop()

    async def provide(self, circles: Circles) -> Ground:
        """Make rooms, and as many users as are missing; let them join."""
        count = 1 + max((number for circle in circles for number in circle), default=-1)
        async with ApiClient(self.stack.url) as api:
            users = await self._accounts.first(api, count)
            room_ids = await make_rooms(api, await self._accounts.host(api), len(circles))
            await join_all(api, room_ids, users, circles)
        self._circles |= dict(zip(room_ids, circles, strict=True))
        return Ground(
            room_ids,
            {number: user.id for number, user in enumerate(users)},
            {number: user.access_token for number, user in enumerate(users)},
        )

    async def clear(self, ground: Ground) -> None:
        """Let everybody leave. The rooms stay: deleting their messages would be work in the next workload."""
        async with ApiClient(self.stack.url) as api:
            users = await self._accounts.first(api, len(ground.user_ids))
            circles = [self._circles.pop(room_id) for room_id in ground.room_ids]
            await leave_all(api, ground.room_ids, users, circles)

    async def store_messages(self, room_id: str, sender_ids: Sequence[str], count: int) -> None:
        """Have a process of its own write them: it takes the processor for a minute."""
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chat_bench.fill_log", room_id, str(count), ",".join(sender_ids)),
            *("--mongo-url", self._backing.mongo_url, "--redis-url", self._backing.redis_url),
            *("--master-keys", str(self._folder / "secrets" / "chat_master_keys")),
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaints = await writer.communicate()
        if writer.returncode != 0:
            raise NotReached(f"messages were not stored: {complaints.decode(errors='replace')[-500:]}")

    async def pages(self, room_id: str, count: int) -> Mapping[str, Page]:
        """A page is asked for by the `seq` that it ends before."""
        [messaging, *_] = self.stack.instances("messaging")
        base = self.stack.url if self._through_traefik else messaging.url
        url = f"{base}{API}/room/{room_id}/messages"
        limit = {"limit": str(PAGE)}
        return {
            "newest": Page(url, limit),
            "middle": Page(url, {**limit, "before": str(count // 2)}),
            "oldest": Page(url, {**limit, "before": str(PAGE + 1)}),
        }


def settings_text() -> dict[str, str]:
    """Return the settings that differ from what is delivered, by variable."""
    return {f"{name} ({service})": value for service, env in SETTINGS.items() for name, value in env.items()}
