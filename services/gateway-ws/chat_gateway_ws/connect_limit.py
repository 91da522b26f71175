"""How many sockets a process lets in per second: when a gateway dies, the others get all of its clients."""

import random
import time

from chat_gateway_ws.connections import TokenBucket
from chat_gateway_ws.errors import TooManyConnects

BURST_SECONDS = 2
LONGEST_WAIT_SECONDS = 30.0


class ConnectLimit:
    """A token bucket that tells whom it refuses when to come again.

    Those refused lately are taken for a line: the longer it is, the later the next one is asked to come,
    and each at another moment, so that they do not come back as the crowd that they were.
    """

    def __init__(self, per_second: float) -> None:
        """`per_second`: sustained; twice as many at once."""
        self._per_second = per_second
        self._bucket = TokenBucket(per_second, max(1, round(per_second * BURST_SECONDS)))
        self._line = 0.0
        self._updated = time.monotonic()

    def require(self) -> None:
        """Return when one more may be let in.

        Raises:
            TooManyConnects: not now; with the time to wait.
        """
        if self._bucket.take():
            return
        now = time.monotonic()
        self._line = max(0.0, self._line - (now - self._updated) * self._per_second) + 1
        self._updated = now
        wait = min(1 + self._line / self._per_second, LONGEST_WAIT_SECONDS / 2)
        raise TooManyConnects(round(wait * random.uniform(1, 2) * 1000))
