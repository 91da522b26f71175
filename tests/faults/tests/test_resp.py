"""The part of the Redis protocol that the proxy understands."""

import random

import pytest
from chat_faults.network.resp import PushDropper, frame_end

MESSAGE = b"*3\r\n$7\r\nmessage\r\n$6\r\nroom:1\r\n$2\r\nhi\r\n"
PUSH = MESSAGE.replace(b"*3", b">3", 1)
OTHERS = [
    b"+PONG\r\n",
    b":12\r\n",
    b"$-1\r\n",
    b"$5\r\nhe\r\no\r\n",
    b"*0\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
    b"%1\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"*3\r\n$9\r\nsubscribe\r\n$6\r\nroom:1\r\n:1\r\n",
]


@pytest.mark.parametrize("frame", [MESSAGE, PUSH, *OTHERS])
def test_a_value_ends_where_its_last_byte_is(frame: bytes) -> None:
    assert frame_end(frame + b"rest") == len(frame)
    assert all(frame_end(frame[:length]) is None for length in range(len(frame)))


def test_what_is_no_redis_is_refused() -> None:
    with pytest.raises(ValueError, match="no RESP type"):
        frame_end(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_messages_are_dropped_and_nothing_else(size: int) -> None:
    """However the bytes are cut into pieces."""
    stream = b"".join([OTHERS[0], MESSAGE, *OTHERS[1:], PUSH])
    dropper = PushDropper(1.0, random.Random(1))
    passed = b"".join(dropper.passing(stream[at : at + size]) for at in range(0, len(stream), size))
    assert passed == b"".join(OTHERS)
    assert dropper.dropped == 2


def test_a_share_of_the_messages() -> None:
    dropper = PushDropper(0.1, random.Random(1))
    passed = dropper.passing(MESSAGE * 1_000)
    assert 50 < dropper.dropped < 200
    assert len(passed) == (1_000 - dropper.dropped) * len(MESSAGE)


def test_an_unfinished_value_is_not_forgotten() -> None:
    dropper = PushDropper(1.0, random.Random(1))
    assert dropper.passing(b"$5\r\nhel") == b""
    assert dropper.rest() == b"$5\r\nhel"
