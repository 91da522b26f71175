"""One trace of one message: from the socket that sent it through both services to both gateways."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from chat_shared.testing import ApiClient, Connect, NewRoom, NewUser, eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from chat_local.stack import Stack

TRACED = ("messaging-1", "messaging-2", "gateway-ws-1", "gateway-ws-2", "rooms-1", "auth-1")


@dataclass(frozen=True)
class Span:
    """As much of a span as matters here."""

    process: str
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    attributes: dict[str, str]


@dataclass
class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        for resource in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {
                        item.key: item.value.string_value or str(item.value.int_value)
                        for item in span.attributes
                    }
                    self.spans.append(
                        Span(
                            named["service.instance.id"],
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            attributes,
                        )
                    )
        return web.Response()

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application(client_max_size=16_000_000)
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


@pytest.fixture
async def traced(own_stack: "Stack", collector: Collector, api: ApiClient) -> AsyncIterator[Collector]:
    """All processes that a message passes send their spans to the collector."""
    processes = [own_stack.process(name) for name in TRACED]

    async def restart(environment: dict[str, str]) -> None:
        for process in processes:
            await process.restart(extra_env=environment)
            await process.wait_ready()
        for path in ("room", "auth/me"):
            await eventually(partial(is_routed, path), timeout=20)

    async def is_routed(path: str) -> bool:
        """The one process of a service was away: Traefik has to see that it is back."""
        answer = await api.http.get(f"{own_stack.url}/api/v1/{path}")
        return answer.status_code == HTTPStatus.UNAUTHORIZED

    await restart({"CHAT_OTLP_URL": collector.url, "CHAT_TRACE_RATIO": "1"})
    yield collector
    await restart({})


async def test_a_message_is_one_trace(
    traced: Collector, new_user: NewUser, new_room: NewRoom, connect: Connect
) -> None:
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice, bob)
    sender, reader = await connect(alice, gateway=0), await connect(bob, gateway=1)
    answer = await sender.done("send_message", {"roomId": room["id"], "content": "follow me"})
    await reader.wait_for("new-message")

    def of_room(name: str) -> list[Span]:
        return [span for span in traced.named(name) if span.attributes.get("room") == room["id"]]

    # Each process sends its spans by itself.
    names = ("send_message", "append", "deliver", "record activity")
    await eventually(lambda: [len(of_room(name)) for name in names] == [1, 1, 2, 1], timeout=20)
    [sent], [appended] = of_room("send_message"), of_room("append")
    delivered, [recorded] = of_room("deliver"), of_room("record activity")
    assert {span.trace_id for span in (appended, *delivered, recorded)} == {sent.trace_id}
    assert sent.parent_id == b""
    assert appended.parent_id == sent.span_id
    assert {span.parent_id for span in (*delivered, recorded)} == {appended.span_id}
    assert (sent.process, {span.process for span in delivered}) == (
        "gateway-ws-1",
        {"gateway-ws-1", "gateway-ws-2"},
    )
    assert appended.process.startswith("messaging-")
    assert recorded.process == "rooms-1"
    assert appended.attributes["seq"] == str(answer["seq"])
    assert [span.attributes["sockets"] for span in delivered] == ["1", "1"]


async def test_a_request_goes_on_in_the_services_that_it_asks(
    traced: Collector, api: ApiClient, new_user: NewUser, new_room: NewRoom
) -> None:
    """Rooms asks auth whether there is such a user."""
    alice, bob = await new_user(), await new_user()
    room = await new_room(alice)
    claimed = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    body = {"userId": bob.id}
    path = f"/room/{room['id']}/members"
    await api.data("POST", path, alice, status=HTTPStatus.CREATED, json=body, headers=claimed)

    def parts_of(request: Span) -> list[Span]:
        return [span for span in traced.spans if span.parent_id == request.span_id]

    def answered() -> list[Span]:
        requests = traced.named("POST /api/v1/room/{room_id}/members")
        return [*requests, *parts_of(requests[0])] if requests and parts_of(requests[0]) else []

    request, *parts = await eventually(answered, timeout=20)
    assert {(part.name, part.process.partition("-")[0]) for part in parts} == {
        ("GET /internal/v1/users/{user_id}", "auth")
    }
    assert {part.trace_id for part in parts} == {request.trace_id}
    assert request.trace_id.hex() != "1" * 32, "nobody outside decides what is traced"
