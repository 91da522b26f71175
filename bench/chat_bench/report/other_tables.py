"""The tables of the other workloads."""

from collections.abc import Mapping, Sequence

from chat_bench.goals import ratio
from chat_bench.report.tables import number, table, times
from chat_bench.results import Floor, History, Idle, Stalled, Storm, Sweep, SweepPoint
from chat_bench.targets.choice import CHAT


def storm_table(found: Mapping[str, Storm]) -> str:
    """Return what the arrival of everybody costs."""
    header = (
        *("Target", "Processor time per connect and join (ms)", f"{CHAT} against it", "All in after (s)"),
        *("Connect p50 (ms)", "p99", "Join p50 (ms)", "p99", "Joined", "Came again"),
    )
    ours = found[CHAT].ms_per_join if CHAT in found else None
    return table(header, [_storm_row(name, storm, ours) for name, storm in found.items()])


def _storm_row(name: str, storm: Storm, ours: float | None) -> list[str]:
    arrivals = storm.arrivals
    return [
        name,
        number(storm.ms_per_join),
        times(ratio(ours, storm.ms_per_join)),
        number(arrivals.seconds),
        *map(number, (arrivals.connect_ms.p50, arrivals.connect_ms.p99)),
        *map(number, (arrivals.join_ms.p50, arrivals.join_ms.p99)),
        str(arrivals.joined),
        str(arrivals.retries),
    ]


def idle_table(found: Mapping[str, Idle]) -> str:
    """Return what a silent connection takes."""
    header = (
        *("Target", "Connections", "KiB per connection", f"{CHAT} against it"),
        *("Without any (MiB)", "With all (MiB)", "Processor, all processes (% of a core)"),
    )
    ours = found[CHAT].kib_per_connection if CHAT in found else None
    rows = [
        [
            name,
            number(idle.connections),
            number(idle.kib_per_connection),
            times(ratio(ours, idle.kib_per_connection)),
            number(sum(idle.empty_kib.values()) / 1024),
            number(sum(idle.full_kib.values()) / 1024),
            number(idle.cpu_share * 100),
        ]
        for name, idle in found.items()
    ]
    return table(header, rows)


def stalled_table(found: Mapping[str, Stalled]) -> str:
    """Return what one costs who reads nothing."""
    header = (
        *("Target", "Rate (messages/s)", "Grew without (MiB)", "Grew with (MiB)", "At the end (MiB)"),
        *("Disconnected", "Delivery p99 of the others (ms)"),
    )
    rows = [
        [
            name,
            number(stalled.rate),
            number(stalled.growth_without_kib / 1024),
            number(stalled.growth_with_kib / 1024),
            number((stalled.with_kib[-1] - stalled.with_kib[0]) / 1024),
            "yes" if stalled.is_closed else "no",
            number(stalled.delivery_ms.p99),
        ]
        for name, stalled in found.items()
    ]
    return table(header, rows)


def history_table(found: Mapping[str, History]) -> str:
    """Return what a long history costs."""
    header = ("Target", "Messages", *("Join p50 (ms)", "p99"), *_page_names(found))
    rows = [
        [
            name,
            number(times_.stored),
            *map(number, (times_.join.p50, times_.join.p99)),
            *(number(page.p50) for page in times_.pages.values()),
        ]
        for name, history in found.items()
        for times_ in (history.short, history.long)
    ]
    return table(header, rows)


def _page_names(found: Mapping[str, History]) -> Sequence[str]:
    first = next(iter(found.values()), None)
    return [f"{name.capitalize()} page p50 (ms)" for name in first.short.pages] if first else []


def floor_table(floor: Floor | None) -> str:
    """Return what bare writes cost."""
    header = ("Sockets", "Bytes of a frame", "µs per delivery", "µs, four in each write")
    values = (
        [floor.sockets, floor.size, floor.us_per_delivery, floor.us_per_delivery_4_per_write] if floor else []
    )
    return table(header, [[number(value) for value in values]] if values else [])


def members_table(found: Mapping[str, Sweep]) -> str:
    """Return the cost against the size of rooms."""
    header = ("Target", "Members of a room", *_SWEEP_HEADER)
    rows = [
        [name, str(point.members), *_point_cells(point)]
        for name, sweep in found.items()
        for point in sweep.by_members
    ]
    return table(header, rows)


def processes_table(found: Mapping[str, Sweep]) -> str:
    """Return the cost against the number of processes."""
    header = ("Target", "Gateways", "Messaging", *_SWEEP_HEADER)
    rows = [
        [name, str(point.gateways), str(point.messaging), *_point_cells(point)]
        for name, sweep in found.items()
        for point in sweep.by_processes
    ]
    return table(header, rows)


_SWEEP_HEADER = ("Rate (messages/s)", "µs per message", "µs per delivery", "Delivery p99 (ms)", "Held")


def _point_cells(point: SweepPoint) -> list[str]:
    step = point.step
    return [
        number(step.run.rate),
        number(step.us_per_message),
        number(step.us_per_delivery),
        number(step.run.delivery_ms.p99),
        "yes" if step.held else "void" if step.is_void else "no",
    ]
