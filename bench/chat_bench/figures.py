"""What is measured, and how it is written to the JSON report.

The first three models read the answers of the load generator as they are.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Figures(BaseModel):
    """Base of all figures. Times are in the unit that the name ends with."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Latency(Figures):
    """Percentiles in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


class Arrivals(Figures):
    """What became of opening all connections."""

    connected: int
    refused: int = 0
    failed: int = 0
    retries: int = 0
    joined: int
    seconds: float
    connect_ms: Latency
    join_ms: Latency


class Run(Figures):
    """What became of the messages of one step, those of the warm-up included.

    Percentiles leave the warm-up out; they count from the instant at which a message was due.
    """

    rate: float
    seconds: float
    sent: int
    unsent: int = 0
    acked: int
    refused: Mapping[str, int] = {}
    unanswered: int = 0
    expected: int
    delivered: int
    lost: int
    doubled: int
    out_of_order: int
    disconnects: int = 0
    ack_ms: Latency
    delivery_ms: Latency
    lateness_ms: Latency
    cpu_seconds: float
    wall_seconds: float


class Usage(Figures):
    """Processor time, user and system, of every server process of a target."""

    seconds: Mapping[str, float]
    """By the name of the process."""
    wall_seconds: float

    @property
    def total(self) -> float:
        """Processor seconds of all of them."""
        return sum(self.seconds.values())


class Step(Figures):
    """One rate, held for some seconds."""

    run: Run
    usage: Usage
    is_quick: bool = False
    """A short step of the search, whose figures are not reported."""
    is_void: bool = False
    """The generator itself was late: the step says nothing about the target."""
    faults: tuple[str, ...] = ()
    """Why the target did not hold the rate; empty when it did."""

    @property
    def held(self) -> bool:
        """Whether the target held the rate."""
        return not self.is_void and not self.faults

    @property
    def us_per_message(self) -> float | None:
        """Microseconds of processor time per acknowledged message, of all server processes."""
        return self.usage.total * 1e6 / self.run.acked if self.run.acked else None

    @property
    def us_per_delivery(self) -> float | None:
        """Microseconds of processor time per delivery, of all server processes."""
        return self.usage.total * 1e6 / self.run.delivered if self.run.delivered else None
