"""Percentiles of a few measured times; the load generator brings its own."""

from collections.abc import Sequence

from chat_bench.figures import Latency


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all are not above (nearest rank)."""
    rank = max(1, -int(-share * len(ordered) // 1))
    return ordered[rank - 1]


def latency_of(seconds: Sequence[float]) -> Latency:
    """Return times as percentiles in milliseconds."""
    ordered = sorted(value * 1e3 for value in seconds)
    if not ordered:
        return Latency()
    p50, p90, p99, p999 = (percentile(ordered, share) for share in (0.5, 0.9, 0.99, 0.999))
    return Latency(p50=p50, p90=p90, p99=p99, p999=p999, max=ordered[-1])
