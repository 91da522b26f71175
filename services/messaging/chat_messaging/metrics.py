"""What messaging counts."""

from chat_shared.metrics import begin_at_zero
from prometheus_client import Counter, Gauge, Histogram

from chat_messaging.outcomes import Cause

BATCH_SIZE = Histogram(
    "chat_append_batch_size", "Entries per insert", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
)
APPEND_SECONDS = Histogram(
    "chat_append_seconds",
    "Time of one majority insert",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
APPEND_RETRIES = Counter("chat_append_retries_total", "Inserts that had to be repeated, by cause", ["cause"])
APPENDED = Counter("chat_appended_total", "Entries committed")
LOG_READS = Counter("chat_log_reads_total", "Reads of the room log in MongoDB", ["kind"])
OUTBOX_DEPTH = Gauge(
    "chat_outbox_depth", "Unpublished entries that the sweep has before it, of 500 inserts at most"
)
OUTBOX_AGE = Gauge("chat_outbox_age_seconds", "Age of the oldest of them")
PUBLISH_TIME = Histogram(
    "chat_publish_seconds",
    "Time until Redis has taken the frames of a batch",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
PUBLISH_FAILURES = Counter("chat_publish_failures_total", "Publishes left to the sweep", ["channel"])
SWEPT = Counter("chat_swept_total", "Entries published by the sweep")
UNREADABLE = Counter("chat_unreadable_total", "Entries whose ciphertext did not open")

begin_at_zero(APPEND_RETRIES, (cause.name.lower() for cause in Cause if cause is not Cause.NOT_TRIED))
begin_at_zero(PUBLISH_FAILURES, ("redis", "rabbitmq"))
