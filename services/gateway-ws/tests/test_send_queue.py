"""What may be written past the queue, and what has to wait in it."""

import asyncio

import pytest
from chat_gateway_ws.send_queue import SendQueue
from chat_gateway_ws.wire import Block, ReadyPacket


class WebSocket:
    """Notes what is written; takes nothing while its client is behind."""

    def __init__(self) -> None:
        self.keeps_up = True
        self.written: list[bytes] = []

    def write_frames(self, frames: bytes) -> bool:
        if self.keeps_up:
            self.written.append(frames)
        return self.keeps_up


@pytest.fixture
def websocket() -> WebSocket:
    return WebSocket()


@pytest.fixture
def queue(websocket: WebSocket) -> SendQueue:
    queue = SendQueue()
    queue.websocket = websocket
    queue.writer_is_idle = True
    return queue


FIRST, SECOND = ReadyPacket("42[1]"), ReadyPacket("42[2]")


def test_nothing_waits_for_who_keeps_up(queue: SendQueue, websocket: WebSocket) -> None:
    assert queue.send(FIRST)
    assert queue.send_block(Block([FIRST, SECOND]))
    assert websocket.written == [FIRST.wire, FIRST.wire + SECOND.wire]
    assert queue.empty()


def test_who_is_behind_finds_all_in_the_queue(queue: SendQueue, websocket: WebSocket) -> None:
    websocket.keeps_up = False
    assert not queue.send_block(Block([FIRST, SECOND]))
    assert [queue.get_nowait(), queue.get_nowait()] == [FIRST, SECOND]


def test_nothing_overtakes_what_waits(queue: SendQueue, websocket: WebSocket) -> None:
    websocket.keeps_up = False
    queue.send(FIRST)
    websocket.keeps_up = True  # there is place again, and the writer has not been there yet
    assert not queue.send(SECOND)
    assert websocket.written == []


def test_nothing_overtakes_what_was_taken_out_and_is_not_written_yet(
    queue: SendQueue, websocket: WebSocket
) -> None:
    queue.writer_is_idle = False
    assert not queue.send(SECOND)
    assert websocket.written == []


async def test_nothing_overtakes_what_a_writer_was_woken_for(queue: SendQueue, websocket: WebSocket) -> None:
    taking = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    websocket.keeps_up = False
    queue.send(FIRST)
    websocket.keeps_up = True
    assert not queue.send(SECOND)
    assert await taking is FIRST


def test_a_polling_client_has_only_the_queue() -> None:
    queue = SendQueue()
    assert not queue.send(FIRST)
    assert queue.get_nowait() is FIRST
