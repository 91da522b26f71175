"""Batches to messaging: order per room, many rooms at once, every message answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from chat_gateway_ws.clients import MessagingClient
from chat_gateway_ws.errors import Busy
from chat_gateway_ws.send_batcher import (
    FULL_BATCH,
    MAX_BATCH,
    MAX_SLOW_REQUESTS,
    MAX_WAITING,
    PACE_SECONDS,
    SLOW_SECONDS,
    SendBatcher,
)
from chat_shared.contracts.internal import SendItem
from chat_shared.http import ServiceClient
from chat_shared.testing import eventually

ROOM_A, ROOM_B, SENDER = "a" * 24, "b" * 24, "c" * 24


def item(room_id: str, number: int) -> SendItem:
    return SendItem(
        room_id=room_id, sender_id=SENDER, content="x", message_type="text", client_message_id=str(number)
    )


class Endpoint:
    """Messaging's batch endpoint as the batcher sees it: a real HTTP server that numbers what it gets."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, str]]] = []
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.stuck_room = ""
        self.status = 200
        self.seconds = 0.0
        self.problem: dict[str, Any] = {"code": "busy", "message": "full", "retryable": True}
        self.under_way: set[str] = set()
        self.overlaps = 0

    async def answer(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        batch = [(entry["roomId"], entry["clientMessageId"]) for entry in body["items"]]
        rooms = {room for room, _ in batch}
        self.overlaps += bool(rooms & self.under_way)
        self.under_way |= rooms
        self.arrived.set()
        if not self.stuck_room or self.stuck_room in rooms:
            await self.open.wait()
        await asyncio.sleep(self.seconds)
        self.under_way -= rooms
        self.batches.append(batch)
        if self.status != 200:
            return web.json_response(self.problem, status=self.status)
        return web.json_response({"results": [{"messageId": "d" * 24, "seq": 1} for _ in batch]})


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[SendBatcher]:
    app = web.Application()
    app.router.add_post("/internal/v1/messages", endpoint.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    http = ServiceClient("messaging", [f"http://127.0.0.1:{port}"], "token")
    await http.start()
    batcher = SendBatcher(MessagingClient(http))
    try:
        yield batcher
    finally:
        endpoint.open.set()
        await batcher.stop()
        await http.stop()
        await runner.cleanup()


async def test_messages_of_one_turn_share_a_request() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as batcher:
        answers = [batcher.submit(item(ROOM_A, number)) for number in range(20)]
        await asyncio.gather(*answers)
    assert len(endpoint.batches) == 1


async def test_a_room_keeps_its_order_and_is_never_twice_under_way() -> None:
    endpoint = Endpoint()
    endpoint.seconds = 3 * PACE_SECONDS  # the next request may leave before this one is answered
    async with serving(endpoint) as batcher:
        answers = []
        for number in range(300):
            answers.append(batcher.submit(item(ROOM_A, number)))
            answers.append(batcher.submit(item(ROOM_B, number)))
            await asyncio.sleep(0)
        await asyncio.gather(*answers)
    sent = [number for batch in endpoint.batches for room, number in batch if room == ROOM_A]
    assert sent == [str(number) for number in range(300)]
    assert endpoint.overlaps == 0


async def test_a_room_whose_instance_changes_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()
    homes = ["one"]
    monkeypatch.setattr(MessagingClient, "home", lambda _self, _room_id: homes[-1])
    async with serving(endpoint) as batcher:
        endpoint.open.clear()
        answers = [batcher.submit(item(ROOM_A, 0))]
        await endpoint.arrived.wait()
        for number in range(1, 4):
            homes.append(f"another {number}")
            answers.append(batcher.submit(item(ROOM_A, number)))
        endpoint.open.set()
        await asyncio.gather(*answers)
        moved = batcher.submit(item(ROOM_A, 4))
        await moved
    sent = [number for batch in endpoint.batches for _, number in batch]
    assert sent == [str(number) for number in range(5)]
    assert endpoint.overlaps == 0


async def test_rooms_whose_homes_part_do_not_share_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in one lane, and a request goes to the home of its first room."""
    endpoint = Endpoint()
    homes = {ROOM_A: "one", ROOM_B: "one"}
    monkeypatch.setattr(MessagingClient, "home", lambda _self, room_id: homes[room_id])
    async with serving(endpoint) as batcher:
        endpoint.open.clear()
        answers = [batcher.submit(item(room_id, 0)) for room_id in homes]
        await endpoint.arrived.wait()
        homes[ROOM_B] = "another"
        answers += [batcher.submit(item(room_id, 1)) for room_id in homes]
        endpoint.open.set()
        await asyncio.gather(*answers)
    assert endpoint.batches[0] == [(ROOM_A, "0"), (ROOM_B, "0")]
    assert sorted(endpoint.batches[1:]) == [[(ROOM_A, "1")], [(ROOM_B, "1")]]


async def test_a_stuck_room_does_not_stop_another() -> None:
    endpoint = Endpoint()
    endpoint.stuck_room = ROOM_A
    endpoint.open.clear()
    async with serving(endpoint) as batcher:
        stuck = batcher.submit(item(ROOM_A, 1))
        await endpoint.arrived.wait()
        assert (await batcher.submit(item(ROOM_B, 1))).error is None
        assert not stuck.done()
        endpoint.open.set()
        assert (await stuck).error is None


async def test_batches_are_bounded() -> None:
    endpoint = Endpoint()
    async with serving(endpoint) as batcher:
        await asyncio.gather(*(batcher.submit(item(ROOM_A, number)) for number in range(MAX_BATCH + 1)))
    assert [len(batch) for batch in endpoint.batches] == [MAX_BATCH, 1]


async def test_what_waits_is_bounded() -> None:
    endpoint = Endpoint()
    endpoint.open.clear()
    async with serving(endpoint) as batcher:
        answers = [batcher.submit(item(ROOM_A, number)) for number in range(MAX_WAITING)]
        with pytest.raises(Busy):
            batcher.submit(item(ROOM_A, MAX_WAITING))
        endpoint.open.set()
        await asyncio.gather(*answers)


async def test_a_refused_batch_answers_every_message() -> None:
    endpoint = Endpoint()
    endpoint.status = 503
    async with serving(endpoint) as batcher:
        results = await asyncio.gather(*(batcher.submit(item(ROOM_A, number)) for number in range(3)))
    assert [result.error.code for result in results if result.error] == ["busy"] * 3


async def test_an_absent_service_answers_retryable() -> None:
    http = ServiceClient("messaging", ["http://127.0.0.1:9"], "token")
    await http.start()
    result = await SendBatcher(MessagingClient(http)).submit(item(ROOM_A, 1))
    await http.stop()
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("unavailable", True)


async def test_one_who_waited_long_does_not_shorten_the_time_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat_gateway_ws.send_batcher.DEADLINE_SECONDS", 2.0)
    endpoint = Endpoint()
    endpoint.open.clear()
    async with serving(endpoint) as batcher:
        first = batcher.submit(item(ROOM_A, 1))
        await endpoint.arrived.wait()
        waited = batcher.submit(item(ROOM_A, 2))
        await asyncio.sleep(1.4)
        fresh = batcher.submit(item(ROOM_A, 3))
        endpoint.open.set()
        await first
        endpoint.seconds = 0.8
        outcomes = [(await answer).error for answer in (waited, fresh)]
    assert [error.code if error else None for error in outcomes] == ["busy", None]


async def test_a_failure_inside_messaging_leaves_the_outcome_unknown() -> None:
    endpoint = Endpoint()
    endpoint.status, endpoint.problem = 500, {"code": "internal_error", "message": "", "retryable": False}
    async with serving(endpoint) as batcher:
        result = await batcher.submit(item(ROOM_A, 1))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("unknown", True)


async def test_where_answers_take_long_rooms_do_not_wait_for_each_other() -> None:
    endpoint = Endpoint()
    endpoint.seconds = 1.5 * SLOW_SECONDS
    rooms = [f"{number:024x}" for number in range(MAX_SLOW_REQUESTS + 2)]
    async with serving(endpoint) as batcher:
        await batcher.submit(item(ROOM_A, 0))
        endpoint.open.clear()
        answers = []
        for room in rooms:
            answers.append(batcher.submit(item(room, 0)))
            await asyncio.sleep(0.01)
        await eventually(lambda: len(endpoint.under_way) == MAX_SLOW_REQUESTS)
        endpoint.seconds = 0.0
        endpoint.open.set()
        results = await asyncio.gather(*answers)
    assert all(result.error is None for result in results)
    assert endpoint.overlaps == 0


async def test_full_requests_keep_apart_so_that_more_messages_share_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chat_gateway_ws.send_batcher.PACE_SECONDS", 0.5)
    endpoint = Endpoint()
    others = {f"{number:024x}" for number in range(5)}
    async with serving(endpoint) as batcher:
        await asyncio.gather(*(batcher.submit(item(ROOM_A, number)) for number in range(FULL_BATCH)))
        answers = []
        for room in others:  # the first of them finds no request under way
            answers.append(batcher.submit(item(room, 0)))
            await asyncio.sleep(0)  # a turn in which its lane begins,
            await asyncio.sleep(0)  # and one in which it would take what waits: they do not share a turn
        await asyncio.gather(*answers)
    assert [len(batch) for batch in endpoint.batches] == [FULL_BATCH, len(others)]


async def test_a_message_alone_does_not_wait_for_a_full_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where messages come one by one, sharing saves little: they leave almost at once."""
    monkeypatch.setattr("chat_gateway_ws.send_batcher.PACE_SECONDS", 1.0)
    endpoint = Endpoint()
    async with serving(endpoint) as batcher:
        await batcher.submit(item(ROOM_A, 0))
        began = time.monotonic()
        await batcher.submit(item(ROOM_A, 1))
        after_one = time.monotonic() - began
        await asyncio.gather(*(batcher.submit(item(ROOM_A, number)) for number in range(2, 2 + FULL_BATCH)))
        began = time.monotonic()
        await batcher.submit(item(ROOM_A, 99))
        after_many = time.monotonic() - began
    assert after_one < after_many
