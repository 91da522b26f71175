"""Figures that no machine measured, for tests of what is made of them."""

from typing import Any

from chat_bench.figures import Arrivals, Latency, Run, Step, Usage
from chat_bench.results import (
    Floor,
    Gap,
    History,
    HistoryTimes,
    Idle,
    Results,
    Stalled,
    Storm,
    Sweep,
    SweepPoint,
    Talk,
)


def latency(p99: float) -> Latency:
    return Latency(p50=p99 / 4, p90=p99 / 2, p99=p99, p999=p99 * 1.5, max=p99 * 2)


def run(rate: float = 100, members: int = 10, p99: float = 20, **changes: Any) -> Run:
    """Return ten seconds in which all went well, with changes."""
    sent = round(rate * 10)
    fields: dict[str, Any] = {
        "rate": rate,
        "seconds": 10,
        "sent": sent,
        "acked": sent,
        "expected": sent * members,
        "delivered": sent * members,
        "lost": 0,
        "doubled": 0,
        "out_of_order": 0,
        "ack_ms": latency(p99),
        "delivery_ms": latency(p99),
        "lateness_ms": latency(1),
        "cpu_seconds": 1,
        "wall_seconds": 10,
    }
    return Run(**{**fields, **changes})


def step(
    rate: float, members: int = 10, p99: float = 20, us_per_delivery: float = 10, **changes: Any
) -> Step:
    """Return a step; a third of the processor time is MongoDB's."""
    used = us_per_delivery * rate * 10 * members / 1e6
    usage = Usage(seconds={"server": used * 2 / 3, "mongod": used / 3}, wall_seconds=10)
    return Step(run=run(rate, members, p99), usage=usage, **changes)


def talk(capacity: float, members: int, us_per_delivery: float, half: float) -> Talk:
    """Return a search that ended above `capacity`."""
    climb = [step(capacity * share, members, 5 + 60 * share, is_quick=True) for share in (0.25, 0.5)]
    missed = step(capacity * 1.25, members, 140, faults=("p99 of deliveries 140 ms",))
    return Talk(
        members=members,
        steps=(*climb, step(capacity, members, 65), missed, missed),
        capacity=capacity,
        ended_by="the next rate was not held",
        in_order=capacity / 2,
        at_half=step(half, members, 4000 / capacity, us_per_delivery),
        at_common=step(half, members, 4000 / capacity, us_per_delivery),
    )


def results() -> Results:
    """Return a whole run."""
    powers = {"chat": 4.0, "node": 1.0, "stock": 0.6, "node-nondurable": 1.2}

    def talks(base: float, members: int, cost: float) -> dict[str, Talk]:
        return {
            name: talk(base * power, members, cost / power**0.5, base / 2) for name, power in powers.items()
        }

    return Results(
        begun="2026-01-01T00:00:00+00:00",
        machine={"processor": "abacus", "cores": "2"},
        settings={"gateways": "1"},
        targets=tuple(powers),
        talk={"rooms": talks(800, 10, 60), "hall": talks(20, 1_000, 9), "pairs": talks(900, 2, 300)},
        storm={"chat": storm(2.5), "node": storm(1.5)},
        idle={"chat": idle(30), "node": idle(20)},
        stalled={"chat": stalled(3_000, is_closed=True), "node": stalled(30_000, is_closed=False)},
        history={"chat": history(2.0, 2.2), "node": history(3.0, 3.1)},
        sweep={"chat": sweep(10), "node": sweep(20)},
        floor=Floor(sockets=1_000, size=420, us_per_delivery=4.5, us_per_delivery_4_per_write=1.7),
        gaps=[Gap(what="idle of stock", why="it ended")],
    )


def storm(ms_per_join: float) -> Storm:
    arrivals = Arrivals(
        connected=1_000, joined=1_000, seconds=3, connect_ms=latency(2_000), join_ms=latency(900)
    )
    return Storm(arrivals=arrivals, usage=Usage(seconds={"server": ms_per_join}, wall_seconds=6))


def idle(kib: int) -> Idle:
    return Idle(
        connections=5_000,
        empty_kib={"server": 90_000},
        full_kib={"server": 90_000 + kib * 5_000},
        cpu_share=0.1,
    )


def stalled(growth_kib: int, *, is_closed: bool) -> Stalled:
    return Stalled(
        rate=500,
        without_kib=(90_000, 92_048, 91_024),
        with_kib=(91_024, 91_024 + growth_kib, 91_024 + growth_kib // 2),
        delivery_ms=latency(30),
        is_closed=is_closed,
    )


def history(short_ms: float, long_ms: float) -> History:
    def of(stored: int, ms: float) -> HistoryTimes:
        pages = {name: latency(ms * 4) for name in ("newest", "middle", "oldest")}
        return HistoryTimes(stored=stored, join=latency(ms * 4), pages=pages)

    return History(short=of(1_000, short_ms), long=of(1_000_000, long_ms))


def sweep(cost: float) -> Sweep:
    return Sweep(
        by_members=tuple(
            SweepPoint(
                members=size, gateways=1, messaging=1, step=step(40, size, 10, cost + cost * 20 / size)
            )
            for size in (2, 10, 100, 1_000)
        ),
        by_processes=tuple(
            SweepPoint(
                members=10, gateways=count, messaging=1, step=step(400, 10, 10, cost * (1 + count / 5))
            )
            for count in (1, 2)
        ),
    )
