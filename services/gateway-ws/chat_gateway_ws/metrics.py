"""What the gateway counts."""

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS = Gauge("chat_gateway_connections", "Authenticated sockets on this process")
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
PRESENCE = Counter(
    "chat_gateway_presence_changes_total", "Changes of presence that rooms were told of", ["state"]
)
