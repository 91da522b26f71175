"""Facts between services over RabbitMQ: publish with confirms, consume at least once, dead letters."""

from chat_shared.bus.bus import Bus
from chat_shared.bus.consumer import Handler
from chat_shared.bus.topology import DURABLE_QUEUES, EXCHANGE, dead_letter_queue

__all__ = ["DURABLE_QUEUES", "EXCHANGE", "Bus", "Handler", "dead_letter_queue"]
