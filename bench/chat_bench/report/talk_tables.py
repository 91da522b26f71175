"""The tables of one workload in which people talk."""

from collections.abc import Mapping

from chat_bench.figures import Latency, Step
from chat_bench.goals import ratio
from chat_bench.report.tables import number, table, times
from chat_bench.results import Talk
from chat_bench.targets.choice import CHAT

Found = Mapping[str, Talk]

_NOTHING = Latency()


def limits_table(found: Found) -> str:
    """Return what each target holds at most."""
    header = (
        *("Target", "Highest rate (messages/s)", f"{CHAT} against it", "Deliveries/s", "In order up to"),
        *("Delivery p50 (ms)", "p99", "p99.9", "Ack p99 (ms)", "The search ended because"),
    )
    ours = found[CHAT].capacity if CHAT in found else None
    return table(header, [_limit_row(name, talk, ours) for name, talk in found.items()])


def _limit_row(name: str, talk: Talk, ours: float | None) -> list[str]:
    best = talk.best
    delivery = best.run.delivery_ms if best else _NOTHING
    return [
        name,
        number(talk.capacity),
        times(ratio(ours, talk.capacity)),
        number(talk.capacity * talk.members),
        number(talk.in_order),
        *map(number, (delivery.p50, delivery.p99, delivery.p999)),
        number(best.run.ack_ms.p99 if best else None),
        talk.ended_by,
    ]


def half_table(found: Found) -> str:
    """Return how fast each target is at the same rate."""
    header = (
        *("Target", "Rate (messages/s)", "Delivery p50 (ms)", "p90", "p99", "p99.9", "max"),
        *("Ack p50 (ms)", "p99", "Lost", "Doubled", "Out of order", "Held"),
    )
    return table(header, [_half_row(name, talk.at_half) for name, talk in found.items() if talk.at_half])


def _half_row(name: str, step: Step) -> list[str]:
    run, delivery = step.run, step.run.delivery_ms
    return [
        name,
        number(run.rate),
        *map(number, (delivery.p50, delivery.p90, delivery.p99, delivery.p999, delivery.max)),
        *map(number, (run.ack_ms.p50, run.ack_ms.p99)),
        *(str(count) for count in (run.lost, run.doubled, run.out_of_order)),
        "yes" if step.held else "void" if step.is_void else "no",
    ]


def cost_table(found: Found) -> str:
    """Return the processor time of each target at the same rate."""
    steps = _common_steps(found)
    header = ("Target", "Rate (messages/s)", "µs per message", "µs per delivery", f"{CHAT} against it")
    ours = steps[CHAT].us_per_delivery if CHAT in steps else None
    rows = [
        [
            name,
            *map(number, (step.run.rate, step.us_per_message, step.us_per_delivery)),
            times(ratio(ours, step.us_per_delivery)),
        ]
        for name, step in steps.items()
    ]
    return table(header, rows)


def spenders_table(found: Found) -> str:
    """Return which processes spent it, in microseconds per message."""
    steps = _common_steps(found)
    names = dict.fromkeys(process for step in steps.values() for process in step.usage.seconds)
    rows = [[name, *(number(_spent(step, name)) for step in steps.values())] for name in names]
    return table(("µs per message", *steps), rows)


def _common_steps(found: Found) -> dict[str, Step]:
    return {name: talk.at_common for name, talk in found.items() if talk.at_common}


def _spent(step: Step, process: str) -> float | None:
    seconds = step.usage.seconds.get(process)
    return seconds * 1e6 / step.run.acked if seconds is not None and step.run.acked else None
