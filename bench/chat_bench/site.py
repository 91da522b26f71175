"""A target that runs, and what is needed to measure it."""

from collections.abc import Sequence
from pathlib import Path

from chat_bench.accounting import Meter, memory_kib
from chat_bench.errors import NotReached
from chat_bench.figures import Arrivals, Step
from chat_bench.generator import Client, Generator
from chat_bench.targets.target import Circles, Ground, Target
from chat_bench.verdict import faults_of, is_void


class Site:
    """Measures one running target."""

    def __init__(self, target: Target, folder: Path) -> None:
        """`folder`: for the plan and the log of the load generator."""
        self.target = target
        self.meter = Meter(target.processes)
        self._folder = folder

    def generator(self, clients: Sequence[Client]) -> Generator:
        """Return a load generator with these connections, not started."""
        return Generator(self._folder, self.target.urls, clients)

    def memory(self) -> dict[str, int]:
        """Return the memory of the processes that hold connections, in KiB."""
        return memory_kib(self.target.processes, self.target.holders)

    async def step(
        self, generator: Generator, rate: float, seconds: float, size: int, warmup: float, *, is_quick: bool
    ) -> Step:
        """Hold a rate and read all clocks around it."""
        reading = self.meter.start()
        run = await generator.run(rate, seconds, size, warmup)
        usage = reading.usage()
        return Step(
            run=run,
            usage=usage,
            is_quick=is_quick,
            is_void=is_void(run),
            faults=faults_of(run, keeps_order=self.target.keeps_order),
        )


def clients_of(ground: Ground, circles: Circles) -> list[Client]:
    """Return a connection for every user, joining all rooms of that user."""
    rooms: dict[int, list[str]] = {}
    for room_id, circle in zip(ground.room_ids, circles, strict=True):
        for number in circle:
            rooms.setdefault(number, []).append(room_id)
    return [Client(ground.tokens[number], room_ids) for number, room_ids in sorted(rooms.items())]


def require_all(arrivals: Arrivals, joins: int) -> None:
    """Return when everybody got in.

    Args:
        joins: how many connects and joins there had to be.

    Raises:
        NotReached: some did not.
    """
    if arrivals.joined < joins:
        raise NotReached(
            f"{arrivals.joined} of {joins} joined: {arrivals.refused} refused, {arrivals.failed} failed"
        )
