"""What the workloads ask of every target, and nothing more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Circles = Sequence[Sequence[int]]
"""Who is in which room: for each room the numbers of its members, from 0."""


@dataclass(frozen=True)
class Page:
    """How to ask a target for a page of a room's history over REST."""

    url: str
    params: Mapping[str, str]


@dataclass(frozen=True)
class Ground:
    """Rooms and accounts that a workload can use."""

    room_ids: Sequence[str]
    """In the order of the circles."""
    user_ids: Mapping[int, str]
    tokens: Mapping[int, str]


class Target(Protocol):
    """A chat server that speaks the events of our clients."""

    @property
    def name(self) -> str:
        """Its name on the command line and in the report."""

    @property
    def urls(self) -> Sequence[str]:
        """What clients connect to, in turn."""

    @property
    def holders(self) -> Sequence[str]:
        """The names of the processes that hold connections."""

    @property
    def keeps_order(self) -> bool:
        """Whether it promises that all see the messages of a room in one order."""

    @property
    def forgets_seconds(self) -> float:
        """How long after the last connection of a user nothing is left of it."""

    def processes(self) -> Mapping[str, Sequence[int]]:
        """Return the pids of all processes that work for it, servers behind it included, by name.

        Raises:
            ProcessLookupError: one of them has ended.
        """

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            LocalStackError: something is missing or does not start.
        """

    async def stop(self) -> None:
        """Stop it; what it stored stays."""

    async def provide(self, circles: Circles) -> Ground:
        """Make rooms and let users in."""

    async def clear(self, ground: Ground) -> None:
        """Take everybody out of the rooms again, so that the next workload's users are in its own alone."""

    async def store_messages(self, room_id: str, sender_ids: Sequence[str], count: int) -> None:
        """Put messages into a room past the servers, the senders taking turns."""

    async def pages(self, room_id: str, count: int) -> Mapping[str, Page]:
        """Return how to ask for the newest, the middle and the oldest page of a room of `count` messages."""
