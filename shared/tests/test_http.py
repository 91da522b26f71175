"""Calls between services: what is tried again, what is not, and what the caller learns."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from chat_shared.errors import OutcomeUnknown, RemoteError, Unavailable
from chat_shared.http import SERVICE_TOKEN_HEADER, ServiceClient
from chat_shared.request_context import DEADLINE_HEADER, REQUEST_ID_HEADER, set_deadline, set_request_id

DEAD = "http://127.0.0.1:9"


class Neighbour:
    """Another service: a real HTTP server that remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[web.Request] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request)
        match request.path:
            case "/slow":
                await asyncio.sleep(30)
            case "/refuse":
                problem = {"code": "room_not_found", "message": "none", "retryable": False}
                return web.json_response(problem, status=404)
            case "/trace":
                return web.Response(text="<html>Traceback", status=500)
            case "/hang-up":
                assert request.transport is not None
                request.transport.abort()
        return web.json_response({"ok": True})


@pytest.fixture
async def neighbour() -> AsyncIterator[Neighbour]:
    neighbour = Neighbour()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", neighbour.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    neighbour.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield neighbour
    await runner.cleanup()


@pytest.fixture
async def client(neighbour: Neighbour) -> AsyncIterator[ServiceClient]:
    client = ServiceClient("neighbour", [neighbour.url], "the-token")
    await client.start()
    yield client
    await client.stop()


async def test_carries_token_request_id_and_deadline(client: ServiceClient, neighbour: Neighbour) -> None:
    set_request_id("req-1")
    await client.request("POST", "/x", b"{}", timeout=3)
    headers = neighbour.calls[0].headers
    assert headers[SERVICE_TOKEN_HEADER] == "the-token"
    assert headers[REQUEST_ID_HEADER] == "req-1"
    assert 0 < int(headers[DEADLINE_HEADER]) <= 3000


async def test_never_waits_longer_than_its_own_caller(client: ServiceClient) -> None:
    set_deadline("50")
    with pytest.raises(OutcomeUnknown):
        await client.request("GET", "/slow", timeout=20)
    with pytest.raises(Unavailable):
        await client.request("GET", "/x")
    set_deadline(None)


async def test_a_refusal_keeps_its_code(client: ServiceClient) -> None:
    with pytest.raises(RemoteError) as caught:
        await client.request("GET", "/refuse")
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (404, "room_not_found", False)


async def test_a_crash_over_there_tells_nothing_of_it(client: ServiceClient) -> None:
    with pytest.raises(RemoteError) as caught:
        await client.request("GET", "/trace")
    assert caught.value.retryable
    assert "Traceback" not in caught.value.message


async def test_another_instance_is_asked_when_one_cannot_be_reached(neighbour: Neighbour) -> None:
    client = ServiceClient("neighbour", [DEAD, neighbour.url], "t")
    await client.start()
    for key in ("a", "b", "c", "d"):
        await client.request("POST", "/x", b"{}", key=key)
    await client.stop()
    assert len(neighbour.calls) == 4


async def test_nothing_is_repeated_once_it_may_have_arrived(
    client: ServiceClient, neighbour: Neighbour
) -> None:
    with pytest.raises(OutcomeUnknown):
        await client.request("POST", "/hang-up", b"{}")
    assert len(neighbour.calls) == 1


async def test_all_instances_away_is_retryable() -> None:
    client = ServiceClient("neighbour", [DEAD], "t")
    await client.start()
    with pytest.raises(Unavailable) as caught:
        await client.request("GET", "/x")
    await client.stop()
    assert caught.value.retryable


def test_a_key_prefers_one_instance_and_keys_spread() -> None:
    urls = ["http://a", "http://b", "http://c"]
    one, other = ServiceClient("n", urls, "t"), ServiceClient("n", urls[::-1], "t")
    keys = [f"room-{number}" for number in range(300)]
    firsts = [one.instances_for(key)[0] for key in keys]
    assert firsts == [other.instances_for(key)[0] for key in keys]
    assert all(60 < firsts.count(url) < 140 for url in urls)
