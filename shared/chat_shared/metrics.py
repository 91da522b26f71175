"""Prometheus metrics that every service has; a service declares its own beside the code they measure."""

from collections.abc import Iterable
from itertools import product

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response

HTTP_SECONDS = Histogram(
    "chat_http_request_seconds",
    "Time from request to response",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVENTS_PUBLISHED = Counter("chat_events_published_total", "Events confirmed by RabbitMQ", ["key"])
EVENTS_CONSUMED = Counter("chat_events_consumed_total", "Events handled, by outcome", ["queue", "outcome"])
QUEUE_WAITING = Gauge(
    "chat_queue_waiting", "Events that wait in a work queue, as its consumer saw it", ["queue"]
)
DEAD_LETTERS = Gauge("chat_dead_letters", "Events that were set aside from a work queue", ["queue"])
BUS_REBUILDS = Counter(
    "chat_bus_rebuilds_total", "Connections to RabbitMQ given up though they looked alive", ["reason"]
)
INTERNAL_CALLS = Counter(
    "chat_internal_calls_total", "Calls to other services, by outcome", ["target", "outcome"]
)
LOOP_LAG = Gauge("chat_event_loop_lag_max_seconds", "By how much the event loop was late, worst of a minute")
LOOP_TASKS = Gauge("chat_tasks", "Tasks of the event loop")


def begin_at_zero(counter: Counter, *labels: Iterable[str]) -> None:
    """Let a counter be there for these values of its labels before anything is counted.

    A rate is made of two readings: without the zero before it, the first failure would be no rise at all.

    Args:
        labels: what is known of each label's values; every combination begins.
    """
    for values in product(*labels):
        counter.labels(*values)


async def metrics_endpoint(_request: Request) -> Response:
    """Answer with the metrics of this process in the Prometheus text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
