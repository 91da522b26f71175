"""Calls between services: what is tried again, what is not, and what the caller learns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from chat_shared.errors import OutcomeUnknown, RemoteError, Unavailable
from chat_shared.http import SERVICE_TOKEN_HEADER, ServiceClient
from chat_shared.instances import Instances
from chat_shared.leaving import ROUTABLE_PATH
from chat_shared.request_context import DEADLINE_HEADER, REQUEST_ID_HEADER, set_deadline, set_request_id
from chat_shared.testing import eventually

DEAD = "http://127.0.0.1:9"


class Neighbour:
    """Another service: a real HTTP server that remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[web.Request] = []
        self.url = ""
        self.is_frozen = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request)
        if self.is_frozen:
            await asyncio.sleep(30)
        match request.path:
            case "/slow":
                await asyncio.sleep(30)
            case "/refuse":
                problem = {"code": "room_not_found", "message": "none", "retryable": False}
                return web.json_response(problem, status=404)
            case "/trace":
                return web.Response(text="<html>Traceback", status=500)
            case "/last":
                return web.json_response({"ok": True}, headers={"Connection": "close"})
            case "/hang-up":
                assert request.transport is not None
                request.transport.abort()
        return web.json_response({"ok": True})

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.calls]


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Neighbour]:
    neighbour = Neighbour()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", neighbour.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    neighbour.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield neighbour
    await runner.cleanup()


@pytest.fixture
async def neighbour() -> AsyncIterator[Neighbour]:
    async with serving() as neighbour:
        yield neighbour


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


class TestInstances:
    def test_a_key_prefers_one_instance_and_keys_spread(self) -> None:
        urls = ["http://a", "http://b", "http://c"]
        one, other = Instances(urls), Instances(urls[::-1])
        keys = [f"room-{number}" for number in range(300)]
        firsts = [one.in_order(key)[0] for key in keys]
        assert firsts == [other.in_order(key)[0] for key in keys] == [one.home(key) for key in keys]
        assert all(60 < firsts.count(url) < 140 for url in urls)

    def test_an_avoided_one_comes_last_and_is_home_all_the_same(self) -> None:
        instances = Instances(["http://a", "http://b", "http://c"])
        usual, home = instances.in_order("room"), instances.home("room")
        assert instances.avoid(home) is True
        assert instances.avoid(home) is False
        assert instances.in_order("room") == [*usual[1:], home]
        assert instances.in_order(None)[-1] == home
        assert instances.home("room") == home
        instances.trust(home)
        assert instances.in_order("room") == usual

    def test_when_all_are_avoided_nothing_changes(self) -> None:
        instances = Instances(["http://a", "http://b"])
        usual = instances.in_order("room")
        for url in usual:
            instances.avoid(url)
        assert instances.in_order("room") == usual

    def test_others_can_take_their_place(self) -> None:
        instances = Instances(["http://a", "http://b", "http://c"])
        keys = [f"room-{number}" for number in range(300)]
        homes = {key: instances.home(key) for key in keys}
        instances.avoid("http://a")
        instances.replace(["http://b", "http://c", "http://d"])
        stayed = [key for key in keys if instances.home(key) == homes[key]]
        assert {homes[key] for key in stayed} == {"http://b", "http://c"}
        assert len(stayed) > 100
        assert "http://a" not in instances
        instances.replace(["http://a", "http://b"])
        assert instances.avoid("http://a") is True, "nothing was remembered of it"

    def test_who_has_left_is_not_avoided_when_he_comes_back(self) -> None:
        """His time runs out after he has left: nobody would probe him, and he would come last for ever."""
        urls = ["http://a", "http://b", "http://c"]
        instances = Instances(urls)
        usual = instances.in_order("room")
        instances.replace(urls[1:])
        assert instances.avoid("http://a") is False
        instances.replace(urls)
        assert instances.in_order("room") == usual

    def test_there_may_be_none(self) -> None:
        assert (Instances([]).home("room"), Instances([]).in_order("room")) == ("", [])

    def test_the_only_one_is_never_avoided(self) -> None:
        assert Instances(["http://a"]).avoid("http://a") is False


class Pair:
    """Two instances and a client; `home` is the one that `KEY` belongs to."""

    def __init__(self, client: ServiceClient, one: Neighbour, two: Neighbour) -> None:
        self.client = client
        self.home, self.other = (one, two) if client.home(KEY) == one.url else (two, one)


KEY = "room"


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with serving() as one, serving() as two:
        client = ServiceClient("neighbour", [one.url, two.url], "t")
        await client.start()
        yield Pair(client, one, two)
        await client.stop()


class TestFrozenInstance:
    async def test_a_command_is_not_repeated_but_the_next_one_goes_elsewhere(self, pair: Pair) -> None:
        pair.home.is_frozen = True
        with pytest.raises(OutcomeUnknown):
            await pair.client.request("POST", "/first", b"{}", key=KEY, timeout=1.1)
        assert pair.other.calls == []
        await pair.client.request("POST", "/second", b"{}", key=KEY)
        assert (pair.home.paths, pair.other.paths) == (["/first"], ["/second"])

    @pytest.mark.parametrize(("method", "only_reads"), [("GET", False), ("POST", True)])
    async def test_a_read_is_asked_elsewhere_within_its_time(
        self, pair: Pair, method: str, only_reads: bool
    ) -> None:
        pair.home.is_frozen = True
        async with asyncio.timeout(4):
            for _ in range(3):
                await pair.client.request(method, "/x", b"{}", key=KEY, timeout=4, only_reads=only_reads)
        assert (len(pair.home.calls), len(pair.other.calls)) == (1, 3)

    async def test_a_read_ends_in_its_time_when_nobody_answers(self, pair: Pair) -> None:
        pair.home.is_frozen = pair.other.is_frozen = True
        with pytest.raises(OutcomeUnknown):
            async with asyncio.timeout(2):
                await pair.client.request("GET", "/x", key=KEY, timeout=0.4)
        assert (len(pair.home.calls), len(pair.other.calls)) == (1, 1)

    async def test_a_broken_read_is_asked_elsewhere(self, pair: Pair) -> None:
        with pytest.raises(OutcomeUnknown):
            await pair.client.request("POST", "/hang-up", b"{}", key=KEY, only_reads=True)
        assert (len(pair.home.calls), len(pair.other.calls)) == (1, 1)

    async def test_a_refused_read_is_not(self, pair: Pair) -> None:
        with pytest.raises(RemoteError):
            await pair.client.request("GET", "/refuse", key=KEY)
        assert pair.other.calls == []

    async def test_one_who_had_no_time_to_answer_is_not_avoided(self, pair: Pair) -> None:
        pair.home.is_frozen = True
        with pytest.raises(OutcomeUnknown):
            await pair.client.request("POST", "/first", b"{}", key=KEY, timeout=0.05)
        pair.home.is_frozen = False
        await pair.client.request("POST", "/second", b"{}", key=KEY)
        assert pair.home.paths == ["/first", "/second"]

    async def test_it_is_asked_first_again_once_it_answers_a_probe(
        self, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chat_shared.http.AVOID_SECONDS", 0.1)
        monkeypatch.setattr("chat_shared.http.PROBE_SECONDS", 0.3)
        pair.home.is_frozen = True
        with pytest.raises(OutcomeUnknown):
            await pair.client.request("POST", "/first", b"{}", key=KEY, timeout=1.1)
        await eventually(lambda: pair.home.paths.count(ROUTABLE_PATH) > 1)  # one probe does not give up
        await pair.client.request("POST", "/meanwhile", b"{}", key=KEY)
        assert "/meanwhile" in pair.other.paths
        pair.home.is_frozen = False

        async def is_home_again() -> bool:
            await pair.client.request("POST", "/again", b"{}", key=KEY)
            return "/again" in pair.home.paths

        await eventually(is_home_again)

    async def test_one_that_closes_the_connection_is_about_to_stop(self, pair: Pair) -> None:
        await pair.client.request("POST", "/last", b"{}", key=KEY)
        await pair.client.request("POST", "/next", b"{}", key=KEY)
        assert (pair.home.paths, pair.other.paths) == (["/last"], ["/next"])

    async def test_one_that_refuses_connections_is_avoided_too(self, neighbour: Neighbour) -> None:
        async with serving() as stopping:
            port = urlsplit(stopping.url).port or 0
        client = ServiceClient("neighbour", [stopping.url, neighbour.url], "t")
        await client.start()
        key = next(key for key in map(str, range(100)) if client.home(key) == stopping.url)
        await client.request("POST", "/x", b"{}", key=key)
        async with serving(port) as back:
            await client.request("POST", "/x", b"{}", key=key)
            assert (len(back.calls), len(neighbour.calls)) == (0, 2)
        await client.stop()
