"""Which TCP connections count as stuck."""

from chat_gateway_ws.slow_readers import STUCK_WALKS, StuckTransports


class Transport:
    """A transport with so many bytes in its buffer."""

    def __init__(self, buffered: int) -> None:
        self.buffered = buffered

    def get_write_buffer_size(self) -> int:
        return self.buffered


def test_who_takes_nothing_is_stuck_even_when_more_comes() -> None:
    stuck, transport = StuckTransports(), Transport(100)
    for _ in range(STUCK_WALKS):
        assert stuck.walk([transport]) == set()
        transport.buffered += 1
    assert stuck.walk([transport]) == {transport}


def test_who_takes_a_little_now_and_then_is_not() -> None:
    stuck, transport = StuckTransports(), Transport(10_000)
    for walk in range(STUCK_WALKS * 3):
        assert stuck.walk([transport]) == set()
        if walk % STUCK_WALKS == STUCK_WALKS - 1:
            transport.buffered -= 1


def test_an_empty_buffer_starts_the_count_anew() -> None:
    stuck, transport = StuckTransports(), Transport(100)
    for _ in range(STUCK_WALKS):
        stuck.walk([transport])
    transport.buffered = 0
    assert stuck.walk([transport]) == set()
    transport.buffered = 100
    assert stuck.walk([transport]) == set()
