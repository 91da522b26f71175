"""A process that is to stop."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from chat_shared.app import create_service_app
from chat_shared.leaving import Leaving, LeavingServer
from chat_shared.settings import ServiceSettings
from chat_shared.testing import eventually

SETTINGS = ServiceSettings(environment="development", service_token="the-token", service="sample")
LONG = 300.0


@dataclass
class Served:
    """A service, and the task that ends when it has stopped."""

    http: httpx2.AsyncClient
    server: LeavingServer
    running: asyncio.Task[None]

    async def says_so(self) -> bool:
        return (await self.http.get("/routez")).status_code == 503


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    leaving = Leaving(LONG)
    app = create_service_app(
        SETTINGS, title="Sample", description="", components=[], checks={}, leaving=leaving
    )
    server = LeavingServer(uvicorn.Config(app, port=0, log_config=None, ws="none"), leaving)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield Served(client, server, running)
    leaving.hurry()
    server.should_exit = True
    await running


async def test_it_works_on_until_nobody_is_sent_to_it(served: Served) -> None:
    assert (await served.http.get("/routez")).status_code == 200
    assert "connection" not in (await served.http.get("/healthz")).headers
    served.server.should_exit = True
    await eventually(served.says_so)
    answer = await served.http.get("/healthz")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    ready = await served.http.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"leaving": "This process is about to stop"})
