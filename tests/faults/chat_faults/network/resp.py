"""As much of the Redis protocol as is needed to lose single pub/sub messages (RESP2 and RESP3)."""

import random

_SIMPLE = b"+-:,(#_"
_BULK = b"$=!"
_AGGREGATE = b"*>~"
_PAIRS = b"%|"
_MESSAGE_HEADS = (b"*3\r\n$7\r\nmessage\r\n", b">3\r\n$7\r\nmessage\r\n")


def frame_end(data: bytes | bytearray, start: int = 0) -> int | None:
    """Return where the value that begins at `start` ends, or None while it is incomplete.

    Raises:
        ValueError: this is not RESP.
    """
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, end = data[start : start + 1], line_end + 2
    if kind in _SIMPLE:
        return end
    if kind not in _BULK + _AGGREGATE + _PAIRS:
        raise ValueError(f"no RESP type: {kind!r}")
    count = int(data[start + 1 : line_end])
    if kind in _BULK:
        end += count + 2 if count >= 0 else 0
        return end if end <= len(data) else None
    for _ in range(count * 2 if kind in _PAIRS else count):
        following = frame_end(data, end)
        if following is None:
            return None
        end = following
    return end


class PushDropper:
    """Drops a share of the pub/sub messages of one connection and passes everything else on."""

    def __init__(self, share: float, rng: random.Random) -> None:
        """`share`: the probability that a message is dropped."""
        self._share = share
        self._rng = rng
        self._incomplete = bytearray()
        self.dropped = 0

    def passing(self, data: bytes) -> bytes:
        """Return what may go on of the bytes that Redis sent; an unfinished value waits for its rest."""
        self._incomplete += data
        kept = bytearray()
        start = 0
        while start < len(self._incomplete) and (end := frame_end(self._incomplete, start)) is not None:
            frame = self._incomplete[start:end]
            if frame.startswith(_MESSAGE_HEADS) and self._rng.random() < self._share:
                self.dropped += 1
            else:
                kept += frame
            start = end
        del self._incomplete[:start]
        return bytes(kept)

    def rest(self) -> bytes:
        """Return what waits still, for the moment at which the dropping ends."""
        rest = bytes(self._incomplete)
        self._incomplete.clear()
        return rest
