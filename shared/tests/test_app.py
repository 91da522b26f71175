"""Service defaults, over real HTTP."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import uvicorn
from chat_shared.app import create_service_app
from chat_shared.auth import require_service
from chat_shared.bare_route import add_bare_route
from chat_shared.contracts.base import StrictModel
from chat_shared.contracts.envelope import Success
from chat_shared.errors import RateLimited, Unavailable
from chat_shared.http import SERVICE_TOKEN_HEADER
from chat_shared.settings import ServiceSettings
from fastapi import Depends, Request, Response

SETTINGS = ServiceSettings(environment="development", service_token="the-token", service="sample")


class Body(StrictModel):
    room_name: str


class Neighbours:
    """What the sample service depends on."""

    def __init__(self) -> None:
        self.away = False
        self.prepared = True

    async def check(self) -> None:
        if self.away:
            raise Unavailable("the neighbour is away")


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def http(neighbours: Neighbours) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_service_app(
        SETTINGS,
        title="Sample",
        description="",
        components=[],
        checks={"neighbour": neighbours.check},
        is_prepared=lambda: neighbours.prepared,
        max_body_size=1000,
    )

    @app.post("/echo", status_code=201)
    async def echo(body: Body) -> Success[Body]:
        return Success(data=body, status_code=201)

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("the secret cause")

    @app.get("/limited")
    async def limited() -> None:
        raise RateLimited(7)

    @app.get("/internal/v1/x", dependencies=[Depends(require_service)])
    async def internal() -> dict[str, bool]:
        return {"ok": True}

    async def bare(request: Request) -> Response:
        if not await request.body():
            raise Unavailable("nothing came")
        return Response()

    add_bare_route(app, "POST", "/bare", bare)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await running


async def test_success_has_the_envelope(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/echo", json={"roomName": "x"})
    assert answer.status_code == 201
    assert answer.json() == {
        "statusCode": 201,
        "success": True,
        "message": "Success",
        "data": {"roomName": "x"},
    }


async def test_a_failure_is_both_problem_details_and_the_originals_body(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/echo", json={"roomName": "x", "role": "admin"})
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()
    assert (body["statusCode"], body["success"], body["data"]) == (400, False, None)
    assert body["errors"] == [{"field": "role", "message": "Extra inputs are not permitted"}]


@pytest.mark.parametrize("value", [{"$ne": None}, ["x"], 1, None, True])
async def test_types_are_not_guessed(http: httpx2.AsyncClient, value: object) -> None:
    answer = await http.post("/echo", json={"roomName": value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "roomName")


async def test_a_crash_tells_nothing(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/crash")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret cause" not in answer.text
    assert answer.headers["x-request-id"]


async def test_a_limit_says_when_to_come_back(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/limited")
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["retryable"]) == (429, "7", True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("DELETE", "/echo", 405, "method_not_allowed")],
)
async def test_unknown_paths_and_methods(
    http: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_large_body_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/echo", json={"roomName": "x" * 2000})
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


async def test_a_form_is_no_json(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/echo", content='{"roomName": "x"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 400


async def test_the_callers_request_id_is_kept(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz", headers={"x-request-id": "abc"})).headers["x-request-id"] == "abc"


async def test_a_request_id_cannot_carry_anything_else(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz", headers={"x-request-id": "a b{}"})).headers["x-request-id"] != "a b{}"


async def test_alive_and_ready_are_two_things(http: httpx2.AsyncClient, neighbours: Neighbours) -> None:
    assert (await http.get("/readyz")).json() == {"neighbour": "ok", "leaving": "ok"}
    neighbours.away = True
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"neighbour": "the neighbour is away", "leaving": "ok"}
    assert (await http.get("/healthz")).status_code == 200


async def test_nothing_is_served_before_the_service_is_prepared(
    http: httpx2.AsyncClient, neighbours: Neighbours
) -> None:
    neighbours.prepared = False
    answer = await http.post("/echo", json={"roomName": "x"})
    assert (answer.status_code, answer.json()["retryable"]) == (503, True)
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/routez")).status_code == 503
    neighbours.prepared, neighbours.away = True, True
    assert (await http.get("/routez")).status_code == 200, "others are as badly off"


async def test_internal_routes_need_the_service_token(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/internal/v1/x")).status_code == 401
    assert (await http.get("/internal/v1/x", headers={SERVICE_TOKEN_HEADER: "wrong"})).status_code == 401
    assert (await http.get("/internal/v1/x", headers={SERVICE_TOKEN_HEADER: "the-token"})).status_code == 200


async def test_metrics_know_the_route_and_not_the_path(http: httpx2.AsyncClient) -> None:
    await http.get("/nowhere/123")
    await http.get("/limited")
    text = (await http.get("/metrics")).text
    assert 'route="/limited",status="429"' in text
    assert "/nowhere" not in text


async def test_a_bare_route_keeps_what_all_routes_have(http: httpx2.AsyncClient) -> None:
    refused = await http.post("/bare")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert (await http.post("/bare", content=b"x" * 1001)).status_code == 413
    assert (await http.get("/bare")).status_code == 405
    assert (await http.post("/bare", content=b"x")).headers["x-request-id"]
    text = (await http.get("/metrics")).text
    assert 'route="/bare",status="200"' in text
    assert 'route="/bare",status="503"' in text


async def test_a_deadline_that_is_no_number_is_ignored(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/healthz", headers=[(b"x-deadline-ms", "²".encode("latin-1"))])
    assert answer.status_code == 200
