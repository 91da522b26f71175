"""The public paths, through a real Traefik: who answers what, and what has no way in."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from chat_local.ports import PortBook
from chat_local.probes import http_status
from chat_local.process import ManagedProcess
from chat_local.programs import traefik
from chat_local.routing import MAX_JSON_BYTES, STICKY_COOKIE
from chat_local.services import MODULES
from chat_local.stack import Stack
from chat_local.state import StateFolder
from chat_shared.testing import eventually

ROOM = "/api/v1/room/0123456789abcdef01234567"


class Upstream:
    """A stand-in behind Traefik that tells its name and what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.url = ""
        app = web.Application(client_max_size=64_000_000)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade") == "websocket":
            return await self._echo(request)
        size = len(await request.read())
        return web.json_response(
            {"from": self.name, "path": request.raw_path, "bytes": size, "headers": dict(request.headers)}
        )

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{self.name}: {message.data}")
        return socket


@dataclass
class Front:
    """Traefik with an upstream for every service, and two for the gateway."""

    url: str
    port: int
    upstreams: dict[str, Upstream]
    http: aiohttp.ClientSession

    async def who(self, path: str, method: str = "GET") -> str:
        """Return who answers a path; the status when no upstream does."""
        async with self.http.request(method, self.url + path) as response:
            if response.content_type != "application/json":
                return str(response.status)
            return str((await response.json())["from"])

    async def raw(self, target: str) -> tuple[int, bytes]:
        """Send a request target exactly as it stands; return status and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        head, _blank, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    state = StateFolder(folder)
    state.acquire()
    names = [*(f"{service}-1" for service in MODULES), "gateway-ws-2"]
    upstreams = {name: Upstream(name) for name in names}
    for upstream in upstreams.values():
        await upstream.start()
    instances: dict[str, list[str]] = {service: [] for service in MODULES}
    for name, upstream in upstreams.items():
        instances[name.rpartition("-")[0]].append(upstream.url)
    ports = PortBook(folder / "ports.json")
    port = ports.port("traefik")
    spec = traefik.spec(traefik.find(), folder, [f"127.0.0.1:{port}"], ports.port("ping"), instances)
    process = ManagedProcess(spec, state, print)
    try:
        await process.start()
        await process.wait_ready()
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            yield Front(f"http://127.0.0.1:{port}", port, upstreams, http)
    finally:
        await process.stop()
        for upstream in upstreams.values():
            await upstream.stop()
        state.release()


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/auth/login", "auth"),
        ("/api/v1/auth/register", "auth"),
        ("/api/v1/auth/refreshToken", "auth"),
        ("/api/v1/users/0123456789abcdef01234567", "auth"),
        ("/api/v1/users?ids=1,2", "auth"),
        ("/.well-known/jwks.json", "auth"),
        ("/api/v1/room", "rooms"),
        ("/api/v1/room/", "rooms"),
        ("/api/v1/room/public", "rooms"),
        (ROOM, "rooms"),
        (f"{ROOM}/members", "rooms"),
        (f"{ROOM}/messages/more", "rooms"),
        (f"{ROOM}/messages", "messaging"),
        (f"{ROOM}/messages/", "messaging"),
        (f"{ROOM}/messages?limit=5", "messaging"),
        ("/api/v1/upload/image", "media"),
        ("/api/v1/media/0123456789abcdef01234567", "media"),
        ("/media/0123456789abcdef01234567", "media"),
        ("/socket.io/?EIO=4&transport=polling", "gateway-ws"),
        ("/", "gateway-ws"),
        ("/favicon.ico", "gateway-ws"),
        ("/assets/chat.js", "gateway-ws"),
        ("/docs", "gateway-ws"),
        ("/api/v1/nothing", "gateway-ws"),
        ("/api/v1/authors", "gateway-ws"),
    ],
)
async def test_who_answers(front: Front, path: str, service: str) -> None:
    assert (await front.who(path)).rpartition("-")[0] == service


@pytest.mark.parametrize(
    "target",
    [
        "/internal",
        "/internal/v1/messages",
        "/metrics",
        "/healthz",
        "/readyz",
        "/routez",
        "/openapi.json",
        "/%69nternal/v1/messages",
        "//internal/v1/messages",
        "/./internal/v1/messages",
        "/api/../internal/v1/messages",
        "/api/v1/room/../../../internal/v1/messages",
        "/api/%2e%2e/internal/v1/messages",
        "/api/..%2finternal/v1/messages",
        "/api/..%5cinternal/v1/messages",
        "/api/%252e%252e/internal/v1/messages",
        "/media/../metrics",
        "/docs/../healthz",
        "/assets/%2e%2e/metrics",
        "/media%00/internal",
        "/socket.io/../internal/v1/messages",
        "http://127.0.0.1/internal/v1/messages",
        "/INTERNAL/v1/messages",
        "/socketXio/",
        "/mediator",
    ],
)
async def test_no_way_in(front: Front, target: str) -> None:
    status, _body = await front.raw(target)
    assert status in (400, 404)


async def test_a_dot_segment_in_disguise_is_no_way_in_either(front: Front) -> None:
    """Handed over as it stands, as a path that no service knows."""
    status, body = await front.raw("/api/..;/internal/v1/messages")
    assert status == 200
    assert json.loads(body)["path"] == "/api/..;/internal/v1/messages"


async def test_forged_forwarding_headers_are_replaced(front: Front) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Real-Ip": "6.6.6.6",
        "X_Service_Token": "6.6.6.6",
        "X-Request-ID": "abc-123",
    }
    async with front.http.get(front.url + "/docs", headers=forged) as response:
        headers = {name.lower(): value for name, value in (await response.json())["headers"].items()}
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{front.port}"
    assert "6.6.6.6" not in headers.values()
    assert headers["x-request-id"] == "abc-123"


class TestBodies:
    async def post(self, front: Front, path: str, size: int) -> int:
        async with front.http.post(front.url + path, data=b"x" * size) as response:
            return response.status

    @pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/room", f"{ROOM}/messages"])
    async def test_json_is_limited(self, front: Front, path: str) -> None:
        assert await self.post(front, path, MAX_JSON_BYTES) == 200
        assert await self.post(front, path, MAX_JSON_BYTES + 1) == 413

    @pytest.mark.parametrize("path", ["/api/v1/upload/image", "/api/v1/auth/register", "/api/v1/auth/me"])
    async def test_uploads_pass(self, front: Front, path: str) -> None:
        assert await self.post(front, path, 12_000_000) == 200


class TestSockets:
    async def test_websocket(self, front: Front) -> None:
        async with front.http.ws_connect(front.url + "/socket.io/?EIO=4&transport=websocket") as client:
            await client.send_str("hello")
            assert (await client.receive_str(timeout=5)).endswith(": hello")

    async def test_polling_stays_with_one_gateway(self, front: Front) -> None:
        async with front.http.get(front.url + "/socket.io/?EIO=4&transport=polling") as response:
            cookie = response.cookies[STICKY_COOKIE]
            first = (await response.json())["from"]
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "lax"
        assert cookie["path"] == "/socket.io"
        headers = {"Cookie": f"{STICKY_COOKIE}={cookie.value}"}
        for _ in range(6):
            async with front.http.get(front.url + "/socket.io/", headers=headers) as response:
                assert (await response.json())["from"] == first

    async def test_without_the_cookie_both_gateways_serve(self, front: Front) -> None:
        assert {await front.who("/docs") for _ in range(6)} == {"gateway-ws-1", "gateway-ws-2"}


async def test_a_dead_instance_leaves_the_rotation(front: Front) -> None:
    async def only_the_first_answers() -> bool:
        return {await front.who("/docs") for _ in range(4)} == {"gateway-ws-1"}

    await front.upstreams["gateway-ws-2"].stop()
    await eventually(only_the_first_answers, timeout=10)


class TestRealServices:
    """The same door, with the services of the test run behind it."""

    @pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/api/v1/room/public"])
    async def test_open_to_all(self, stack: Stack, path: str) -> None:
        assert await http_status(stack.url + path) == 200

    async def test_every_service_has_an_inside(self, stack: Stack) -> None:
        for service in MODULES:
            assert await http_status(stack.instances(service)[0].url + "/metrics") == 200

    @pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/internal/v1/messages"])
    async def test_the_inside_stays_inside(self, stack: Stack, path: str) -> None:
        assert await http_status(stack.url + path) == 404
