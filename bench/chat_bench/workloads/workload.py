"""What the runner asks of a workload."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from chat_bench.results import Results
from chat_bench.site import Site

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
