"""What the gateway counts."""

from chat_shared.metrics import begin_at_zero
from prometheus_client import Counter, Gauge, Histogram

from chat_gateway_ws.close_reasons import CLOSE_REASONS

CONNECTIONS = Gauge("chat_gateway_connections", "Authenticated sockets on this process")
USERS = Gauge("chat_gateway_users", "Users with sockets on this process: it keeps their presence alive")
ROOMS = Gauge("chat_gateway_rooms", "Rooms that this process is subscribed to")
DELIVERIES = Counter("chat_gateway_deliveries_total", "Log entries handed to sockets")
HOLES = Counter("chat_gateway_holes_total", "Holes in a room's feed that were filled from the log")
LOG_READS = Counter(
    "chat_gateway_log_reads_total", "Questions about the log that messaging was asked", ["kind"]
)
RECENT_BYTES = Gauge("chat_gateway_recent_bytes", "Memory of the last entries of all rooms")
SUBSCRIPTION_BREAKS = Counter(
    "chat_gateway_subscription_breaks_total",
    "Redis subscriptions built anew: connection lost, silent, or deaf to what is published",
    ["reason"],
)
CLOSED = Counter("chat_gateway_closed_total", "Sockets closed by the gateway", ["reason"])
CONNECTS_REFUSED = Counter("chat_gateway_connects_refused_total", "Sockets that were not let in", ["code"])
EVENTS = Counter("chat_gateway_events_total", "Client events, by outcome", ["event", "outcome"])
FACTS = Counter(
    "chat_gateway_facts_total", "Facts applied to live sockets, by the way that was first", ["way"]
)
SEND_BATCH = Histogram(
    "chat_gateway_send_batch_size",
    "Messages per batch to messaging",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
SEND_SECONDS = Histogram(
    "chat_gateway_send_seconds",
    "Time of a batch to messaging: `waiting` of its oldest message, `request` until the answer",
    ["stage"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
PRESENCE = Counter(
    "chat_gateway_presence_changes_total", "Changes of presence that rooms were told of", ["state"]
)

begin_at_zero(SUBSCRIPTION_BREAKS, ("lost", "silent", "deaf", "backlog"))
begin_at_zero(CLOSED, (reason.code for reason in CLOSE_REASONS))
begin_at_zero(PRESENCE, ("online", "offline"))
