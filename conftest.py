"""The one stack that a test run starts, and only when a test asks for it.

It has two gateways and two messaging processes, free ports and a temporary folder, so it runs beside a
`make run`. What a run leaves behind is kept when a test failed, or when KEEP_TEST_STATE is set.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from chat_local.stack import Stack, StackOptions
from chat_shared.testing.event_contract import take_violations
from chat_shared.testing.surroundings import bare_environ

# Settings of the services under test, by instance, by service, or for all of them (`*`).
TEST_ENV: dict[str, dict[str, str]] = {
    "*": {"CHAT_LOG_LEVEL": "info"},
    "gateway-ws": {
        "CHAT_HEADS_SECONDS": "2",
        "CHAT_PRESENCE_GRACE_SECONDS": "0.5",
        "CHAT_PRESENCE_LEASE_SECONDS": "3",
        "CHAT_PRESENCE_WINDOW_SECONDS": "5",
    },
}

_kept = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "last: runs after all other tests, to look at what they left in stores, queues and logs"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(autouse=True)
def _events_keep_the_contract() -> Iterator[None]:
    """Fail a test whose sockets received what the AsyncAPI document does not say."""
    yield
    if violations := take_violations():
        pytest.fail("against the contract:\n" + "\n".join(violations))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """The whole system, through Traefik at `stack.url`."""
    folder = Path(tempfile.mkdtemp(prefix="chat-test-"))
    options = StackOptions(folder, gateways=2, messaging=2, extra_env=TEST_ENV, environ=bare_environ())
    try:
        async with Stack(options) as running:
            yield running
    finally:
        if request.session.testsfailed or os.environ.get("KEEP_TEST_STATE"):
            request.config.stash[_kept] = folder
        else:
            shutil.rmtree(folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if folder := config.stash.get(_kept, None):
        terminalreporter.write_line(
            f"The state of the test stack is kept in {folder}, its logs in {folder}/logs"
        )
