"""How large everything is: what the report is made with, and what only shows that the benchmark works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from chat_bench.targets.target import Circles

MESSAGE_SIZE = 100
"""Characters of a message."""
FRAME_SIZE = 420
"""Bytes of the frame that delivers it, with its ids and times."""


@dataclass(frozen=True)
class Shape:
    """Rooms of one workload in which people talk; nobody is in two of them."""

    rooms: int
    members: int
    start: float
    """The rate that the search begins with, in messages per second."""

    def circles(self) -> Circles:
        """Return who is in which room."""
        return [range(room * self.members, (room + 1) * self.members) for room in range(self.rooms)]


@dataclass(frozen=True)
class Sizes:
    """The sizes of all workloads. Times are in seconds."""

    seconds: float = 10
    warmup: float = 2
    quick_seconds: float = 3
    quick_warmup: float = 1
    highest_rate: float = inf
    """Messages per second beyond which no limit is searched."""
    shapes: Mapping[str, Shape] = field(
        default_factory=lambda: {
            "rooms": Shape(rooms=10, members=10, start=100),
            "hall": Shape(rooms=1, members=1_000, start=4),
            "pairs": Shape(rooms=200, members=2, start=100),
        }
    )
    storm: Shape = Shape(rooms=10, members=100, start=0)
    storm_rounds: int = 3
    storm_settle: float = 3
    """After the last join: what was put off, such as presence, is part of the price."""
    idle: Shape = Shape(rooms=100, members=10, start=0)
    idle_sockets_per_user: int = 5
    idle_connects_per_second: float = 250
    idle_settle: float = 30
    stalled: Shape = Shape(rooms=10, members=10, start=500)
    """`start` is the rate where the run has not measured `rooms` at the same target."""
    stalled_seconds: float = 40
    history_short: int = 1_000
    history_long: int = 1_000_000
    history_tries: int = 200
    sweep_members: tuple[int, ...] = (2, 10, 100, 1_000)
    sweep_processes: tuple[tuple[int, int], ...] = ((1, 1), (2, 1), (1, 2), (2, 2))
    sweep_deliveries: float = 4_000
    """Deliveries per second of each point, as far as `sweep_messages` lets it."""
    sweep_messages: float = 400
    sweep_people: int = 1_000


SMALL = Sizes(
    seconds=1,
    warmup=0.5,
    quick_seconds=0.5,
    quick_warmup=0.25,
    highest_rate=60,
    shapes={
        "rooms": Shape(rooms=2, members=2, start=20),
        "hall": Shape(rooms=1, members=4, start=20),
        "pairs": Shape(rooms=2, members=2, start=20),
    },
    storm=Shape(rooms=1, members=4, start=0),
    storm_rounds=1,
    storm_settle=1,
    idle=Shape(rooms=2, members=2, start=0),
    idle_settle=1,
    stalled=Shape(rooms=2, members=2, start=20),
    stalled_seconds=2,
    history_short=100,
    history_long=1_000,
    history_tries=5,
    sweep_members=(2, 4),
    sweep_processes=((1, 1), (2, 2)),
    sweep_deliveries=40,
    sweep_messages=20,
    sweep_people=4,
)
"""A run of few users and seconds. Its figures mean nothing."""
