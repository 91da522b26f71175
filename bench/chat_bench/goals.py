"""What the system is to reach beside its peers, and whether a run shows that it does."""

from dataclasses import dataclass

from chat_bench.figures import Step
from chat_bench.results import Results, Talk
from chat_bench.targets.choice import CHAT, NODE, NODE_NONDURABLE


@dataclass(frozen=True)
class Goal:
    """One promise and what was measured for it."""

    text: str
    limit: float
    measured: float | None
    """None when the run did not measure it."""
    unit: str = "x"
    is_at_least: bool = False
    """Whether more is better."""

    @property
    def is_met(self) -> bool | None:
        """Whether the promise was kept, None when that was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.is_at_least else self.measured <= self.limit


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return ours in relation to theirs, None where one of them is missing."""
    return ours / theirs if ours is not None and theirs else None


def goals_of(results: Results) -> list[Goal]:
    """Return all goals with what a run measured for them."""
    return [
        *_rates(results),
        *_latencies(results),
        *_delivery_costs(results),
        *_connections(results),
        Goal("Join with a long history, against a short one", 1.2, _history_ratio(results)),
    ]


def _rates(results: Results) -> list[Goal]:
    ours = _capacity(results, "rooms", CHAT)
    return [
        Goal(
            f"Highest rate of `rooms`, against {peer}",
            limit,
            ratio(ours, _capacity(results, "rooms", peer)),
            is_at_least=True,
        )
        for peer, limit in ((NODE, 3.0), (NODE_NONDURABLE, 4.0))
    ]


def _latencies(results: Results) -> list[Goal]:
    return [
        Goal(
            f"Delivery p99 of `{workload}` at half of what {NODE} holds, against {NODE}",
            1.0,
            ratio(_p99_at_half(results, workload, CHAT), _p99_at_half(results, workload, NODE)),
        )
        for workload in results.talk
    ]


def _delivery_costs(results: Results) -> list[Goal]:
    ours = _delivery_cost(results, "hall", CHAT)
    floor = results.floor.us_per_delivery if results.floor else None
    text = "Processor time per delivery in `hall`, against"
    return [
        Goal(f"{text} {NODE}", 0.5, ratio(ours, _delivery_cost(results, "hall", NODE))),
        Goal(f"{text} the C floor", 1.2, ratio(ours, floor)),
    ]


def _connections(results: Results) -> list[Goal]:
    storm, idle = results.storm.get(CHAT), results.idle.get(CHAT)
    return [
        Goal(
            "Processor time per connect and join, all processes",
            3,
            storm.ms_per_join if storm else None,
            unit=" ms",
        ),
        Goal("Memory per idle connection", 40, idle.kib_per_connection if idle else None, unit=" KiB"),
    ]


def _talk(results: Results, workload: str, target: str) -> Talk | None:
    return results.talk.get(workload, {}).get(target)


def _capacity(results: Results, workload: str, target: str) -> float | None:
    talk = _talk(results, workload, target)
    return talk.capacity if talk else None


def _p99_at_half(results: Results, workload: str, target: str) -> float | None:
    talk = _talk(results, workload, target)
    return talk.at_half.run.delivery_ms.p99 if talk and talk.at_half else None


def _delivery_cost(results: Results, workload: str, target: str) -> float | None:
    talk = _talk(results, workload, target)
    step: Step | None = talk.at_common if talk else None
    return step.us_per_delivery if step else None


def _history_ratio(results: Results) -> float | None:
    history = results.history.get(CHAT)
    return ratio(history.long.join.p50, history.short.join.p50) if history else None
