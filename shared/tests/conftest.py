"""Servers of our own for tests that break them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from chat_local.stack import Stack, StackOptions
from chat_shared.bus import Bus, dead_letter_queue
from chat_shared.logging import configure_logging
from chat_shared.testing import eventually
from chat_shared.testing.queues import drain

OpenBus = Callable[..., Awaitable[Bus]]
QUEUE = "rooms.accounts"


@pytest.fixture(scope="package", autouse=True)
def service_logs() -> None:
    """Log as services do: the library's own colourful tracebacks take longer than what is tested."""
    configure_logging("test", "test", "info")


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def backing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """MongoDB, Redis and RabbitMQ, without any service."""
    options = StackOptions(state_dir=tmp_path_factory.mktemp("shared-stack"), services=False)
    async with Stack(options) as stack:
        yield stack


@pytest.fixture
async def open_bus(backing: Stack) -> AsyncIterator[OpenBus]:
    """Connects buses, at first on empty queues, and closes them after the test."""
    opened: list[Bus] = []

    async def connect(prepare: Callable[[Bus], None] = lambda _bus: None, url: str = "") -> Bus:
        bus = Bus(url or backing.amqp_url, source="test")
        prepare(bus)
        await bus.start()
        opened.append(bus)
        await eventually(lambda: bus.is_connected, timeout=20)
        return bus

    await connect()
    for queue in (QUEUE, dead_letter_queue(QUEUE)):
        await drain(backing.amqp_url, queue)
    yield connect
    for bus in opened:
        await bus.stop()
