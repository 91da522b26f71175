"""Servers of our own for tests that break them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chat_local.stack import Stack, StackOptions


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def backing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """MongoDB, Redis and RabbitMQ, without any service."""
    options = StackOptions(state_dir=tmp_path_factory.mktemp("shared-stack"), services=False)
    async with Stack(options) as stack:
        yield stack
