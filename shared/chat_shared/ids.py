"""Identifiers made by us."""

import os
import time
import uuid

_COUNTER_BITS = 12
_state = (0, 0)


def uuid7() -> str:
    """Return a UUID version 7 that sorts after every earlier one of this process.

    The 12 bits after the timestamp count within a millisecond (RFC 9562 §6.2, method 1).
    """
    global _state
    milliseconds, count = max(time.time_ns() // 1_000_000, _state[0]), 0
    if milliseconds == _state[0]:
        count = _state[1] + 1
        if count >> _COUNTER_BITS:
            milliseconds, count = milliseconds + 1, 0
    _state = (milliseconds, count)
    tail = int.from_bytes(os.urandom(8), "big") >> 2
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | count << 64 | 0x2 << 62 | tail))
