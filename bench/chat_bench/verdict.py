"""When a target holds a rate."""

from chat_bench.figures import Latency, Run

LONGEST_MS = 100.0
"""The highest 99th percentile of deliveries and acknowledgements."""
MOST_LATE_MS = 10.0
"""The highest 99th percentile of how late the generator itself is."""
LEAST_ACKED = 0.99


def is_void(run: Run) -> bool:
    """Tell whether the generator was late: then latencies are partly its own."""
    return (run.lateness_ms.p99 or 0.0) > MOST_LATE_MS


def faults_of(run: Run, *, keeps_order: bool) -> tuple[str, ...]:
    """Return why a target did not hold the rate of a run; nothing when it did.

    Args:
        keeps_order: the target promises that all see the messages of a room in one order. Of one that does
            not, messages out of order are counted and shown, and do not end the search for its limit.
    """
    faults = [
        f"{count} {what}"
        for what, count in (
            ("lost", run.lost),
            ("doubled", run.doubled),
            ("out of order", run.out_of_order if keeps_order else 0),
            ("disconnected", run.disconnects),
            ("not sent", run.unsent),
        )
        if count
    ]
    if run.acked < LEAST_ACKED * run.sent or not run.acked:
        faults.append(f"{run.acked} of {run.sent} acknowledged")
    faults += _too_slow("deliveries", run.delivery_ms) + _too_slow("acknowledgements", run.ack_ms)
    return tuple(faults)


def _too_slow(what: str, latency: Latency) -> list[str]:
    if latency.p99 is not None and latency.p99 > LONGEST_MS:
        return [f"p99 of {what} {latency.p99:.0f} ms"]
    return []
