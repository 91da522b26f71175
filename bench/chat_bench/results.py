"""What came out of each workload, and of a whole run."""

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from chat_bench.figures import Arrivals, Figures, Latency, Step, Usage


class Talk(Figures):
    """What a target made of a workload in which people talk."""

    members: int
    """Members of each room."""
    steps: tuple[Step, ...] = ()
    """The search for the highest rate, in the order in which it went."""
    capacity: float = 0
    """The highest rate that was held, in messages per second; 0 when none was."""
    ended_by: str = ""
    """What ended the search."""
    in_order: float = 0
    """The highest rate of any step, short ones included, at which nothing came out of order."""
    at_half: Step | None = None
    """At half of the rate that the careful Node peer holds."""
    at_common: Step | None = None
    """At a rate that every target holds."""

    @property
    def best(self) -> Step | None:
        """The step at the highest rate."""
        held = [step for step in self.steps if step.held and step.run.rate == self.capacity]
        return held[-1] if held else None


class Storm(Figures):
    """Everybody connects and joins at once; the middle one of several rounds by processor time."""

    arrivals: Arrivals
    usage: Usage

    @property
    def ms_per_join(self) -> float | None:
        """Milliseconds of processor time per connect and join, of all server processes."""
        return self.usage.total * 1e3 / self.arrivals.joined if self.arrivals.joined else None


class Idle(Figures):
    """Memory of the processes that hold connections, without any and with many."""

    connections: int
    empty_kib: Mapping[str, int]
    full_kib: Mapping[str, int]
    """Proportional set size by the name of the process."""
    cpu_share: float
    """Processor seconds per second of all server processes, while nobody says anything."""

    @property
    def kib_per_connection(self) -> float | None:
        """KiB per connection."""
        grown = sum(self.full_kib.values()) - sum(self.empty_kib.values())
        return grown / self.connections if self.connections else None


class Stalled(Figures):
    """Memory of the processes that hold connections, without and with one who reads nothing."""

    rate: float
    """Messages per second; who is stalled should get all of them."""
    without_kib: tuple[int, ...]
    """Proportional set size, once a second."""
    with_kib: tuple[int, ...]
    delivery_ms: Latency
    """Of the others meanwhile."""
    is_closed: bool
    """Whether the one who reads nothing was disconnected."""

    @property
    def growth_without_kib(self) -> int:
        """The most that memory rose above its beginning."""
        return max(self.without_kib) - self.without_kib[0]

    @property
    def growth_with_kib(self) -> int:
        """The same with the one who reads nothing."""
        return max(self.with_kib) - self.with_kib[0]


class HistoryTimes(Figures):
    """Medians and 99th percentiles for one size of a room, in milliseconds."""

    stored: int
    join: Latency
    """From `join_room` to `message-history`."""
    pages: Mapping[str, Latency]
    """REST pages of 50: the newest, one from the middle, the oldest."""


class History(Figures):
    """The same for a room with a short and one with a long history."""

    short: HistoryTimes
    long: HistoryTimes


class SweepPoint(Figures):
    """One measured point: how large the rooms were, and how many processes there were."""

    members: int
    gateways: int
    messaging: int
    step: Step


class Sweep(Figures):
    """What a delivery and a message cost, against the size of a room and the number of processes."""

    by_members: tuple[SweepPoint, ...] = ()
    by_processes: tuple[SweepPoint, ...] = ()


class Floor(Figures):
    """Processor time of bare `write()` calls to as many sockets as a hall has."""

    sockets: int
    size: int
    us_per_delivery: float
    us_per_delivery_4_per_write: float


class Gap(Figures):
    """Something that was not measured, and why."""

    what: str
    why: str


class Results(Figures):
    """One run of the benchmark."""

    model_config = ConfigDict(frozen=False, extra="ignore")

    begun: str
    machine: Mapping[str, str]
    settings: Mapping[str, str]
    targets: tuple[str, ...] = ()
    talk: dict[str, dict[str, Talk]] = Field(default_factory=dict)
    """Workload, then target."""
    storm: dict[str, Storm] = Field(default_factory=dict)
    idle: dict[str, Idle] = Field(default_factory=dict)
    stalled: dict[str, Stalled] = Field(default_factory=dict)
    history: dict[str, History] = Field(default_factory=dict)
    sweep: dict[str, Sweep] = Field(default_factory=dict)
    floor: Floor | None = None
    gaps: list[Gap] = Field(default_factory=list)
