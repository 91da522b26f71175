"""What a fault is: a script that breaks something and mends it, and what it promises."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeAlias

from chat_shared.testing import ApiClient

from chat_faults.load import Load, Profile
from chat_faults.measure import Figure, ack_times, delivery_times, percentile
from chat_faults.rig import Rig


@dataclass
class Run:
    """One run of one fault with one seed, as its script sees it."""

    rig: Rig
    api: ApiClient
    load: Load
    rng: Random
    begun_at: float = 0.0
    """When the load began; all times are monotonic."""
    broken_at: float = 0.0
    healed_at: float = 0.0
    figures: list[Figure] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """What is wrong beyond the checker's own findings, in words."""
    leaks: list[str] = field(default_factory=list)
    """What somebody heard who may not, beyond what the witness heard."""

    @property
    def quiet_until(self) -> float:
        """Until when a message can have begun that the fault did not touch."""
        return self.broken_at - 1

    def at_most(self, name: str, value: float, goal: float, unit: str = "s") -> None:
        """Note a figure that should not be above a goal."""
        self.figures.append(Figure(name, value, unit, at_most=goal))

    def at_least(self, name: str, value: float, goal: float, unit: str = "s") -> None:
        """Note a figure that should not be below a goal."""
        self.figures.append(Figure(name, value, unit, at_least=goal))

    def note(self, name: str, value: float, unit: str = "s") -> None:
        """Note a figure without a goal."""
        self.figures.append(Figure(name, value, unit))

    def require(self, holds: bool, otherwise: str) -> None:
        """Note a finding, which fails the run, unless something holds."""
        if not holds:
            self.findings.append(otherwise)

    def ack_p99(self, begin: float, end: float) -> float:
        """Return the p99 of acknowledgement times of messages begun in a window."""
        return percentile(ack_times(self.load.sent, begin, end), 0.99)

    def delivery_p99(self, begin: float, end: float) -> float:
        """Return the p99 from acknowledgement to display of messages acknowledged in a window."""
        return self.delivery(0.99, begin, end)

    def delivery(self, share: float, begin: float, end: float) -> float:
        """Return another percentile of the same."""
        histories = self.load.histories
        return percentile(delivery_times(histories, begin, end), share)


Script: TypeAlias = Callable[[Run], AsyncIterator[None]]


@dataclass(frozen=True)
class Fault:
    """One row of the matrix. `script` breaks and mends before its `yield` and measures after it."""

    id: str
    title: str
    expects: str
    script: Script
    profile: Profile
    messaging: int
    behind_link: bool
    """Whether clients connect through a link that can be broken."""

    def scaled(self, factor: float) -> "Fault":
        """Return the same fault under another load."""
        return replace(self, profile=self.profile.scaled(factor))

    def at_rate(self, rate: float) -> "Fault":
        """Return the same fault with a crowd that sends so many messages per second.

        Raises:
            ValueError: there is no crowd.
        """
        crowd = self.profile.crowd
        if crowd is None:
            raise ValueError(f"{self.id} has no crowd")
        title = self.title if rate == crowd.rate else f"{self.title}; here {rate:,.0f} a second"
        return replace(self, title=title, profile=replace(self.profile, crowd=replace(crowd, rate=rate)))


CATALOGUE: dict[str, Fault] = {}


def fault(
    id_: str,
    title: str,
    expects: str,
    *,
    profile: Profile | None = None,
    messaging: int = 2,
    behind_link: bool = False,
) -> Callable[[Script], Script]:
    """Put a script into the catalogue.

    Args:
        id_: such as `F04`.
        title: what breaks.
        expects: what is promised beyond «nothing lost», in words.
        profile: another load than usual.
        messaging: how many processes of messaging the rig must have.
        behind_link: whether clients connect through a link that can be broken.
    """

    def register(script: Script) -> Script:
        CATALOGUE[id_] = Fault(id_, title, expects, script, profile or Profile(), messaging, behind_link)
        return script

    return register
