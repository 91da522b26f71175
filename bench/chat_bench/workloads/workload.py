"""What the runner asks of a workload."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from chat_bench.results import Results
from chat_bench.site import Site
from chat_bench.sizes import Sizes
from chat_bench.targets.choice import NODE_NONDURABLE

Pass = Callable[[Site, Results], Awaitable[None]]
"""Measures one running target and writes what came out into the results."""


class Workload(Protocol):
    """Something that is done to all targets in turn."""

    @property
    def name(self) -> str:
        """Its name on the command line and in the report."""

    @property
    def needs_generator(self) -> bool:
        """Whether it takes the load generator, which takes a C compiler."""

    @property
    def leaves_out(self) -> Collection[str]:
        """Targets that would show nothing new."""

    @property
    def passes(self) -> Sequence[Pass]:
        """What is done; each pass goes over all targets before the next one begins."""


class OnePass(ABC):
    """A workload that goes over all targets once."""

    name: str
    needs_generator = True
    leaves_out: Collection[str] = (NODE_NONDURABLE,)

    def __init__(self, sizes: Sizes, report: Callable[[str], None]) -> None:
        """`report` takes a line on what came out."""
        self._sizes = sizes
        self._report = report

    @property
    def passes(self) -> Sequence[Pass]:
        """One."""
        return [self.measure]

    @abstractmethod
    async def measure(self, site: Site, results: Results) -> None:
        """Measure one target."""
