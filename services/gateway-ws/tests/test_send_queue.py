"""What may be written past the queue, and what has to wait in it."""

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
    queue.lead_to(websocket, lambda: None)
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
    queue.put_nowait(FIRST)
    assert queue.get_nowait() is FIRST
    assert not queue.send(SECOND)
    assert websocket.written == []
    assert queue.get_nowait() is SECOND
    queue.written()
    assert queue.send(FIRST)


def test_a_writer_starts_for_what_waits_and_only_one_at_a_time(websocket: WebSocket) -> None:
    queue, starts = SendQueue(), []
    queue.put_nowait(FIRST)
    queue.lead_to(websocket, lambda: starts.append(queue.qsize()))
    queue.put_nowait(SECOND)
    assert starts == [1]
    queue.discard()
    queue.written()
    queue.put_nowait(None)
    assert starts == [1, 1]


def test_a_polling_client_has_only_the_queue() -> None:
    queue = SendQueue()
    assert not queue.send(FIRST)
    assert queue.get_nowait() is FIRST


async def test_memory_is_counted_until_it_is_taken() -> None:
    queue = SendQueue()
    queue.put_nowait(FIRST)
    queue.put_nowait(None)
    assert queue.waiting_size == FIRST.size
    assert await queue.get() is FIRST
    assert (queue.waiting_size, queue.taken) == (0, 1)
