"""Exchange, durable queues and their dead letters: one table, declared by every process that connects.

Publishers declare the queues too, so an event is never dropped because its consumer was not started yet.
"""

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange

from chat_shared.contracts.events import MessagesAppended, RoomDeleted, UserDeleted

EXCHANGE = "chat.events"
DELIVERY_LIMIT = 5

#: Durable work: queue name (its consumer, then its purpose) -> the routing keys bound to it.
DURABLE_QUEUES: dict[str, tuple[str, ...]] = {
    "rooms.activity": (MessagesAppended.key,),
    "rooms.accounts": (UserDeleted.key,),
    "messaging.cleanup": (RoomDeleted.key,),
    "media.cleanup": (RoomDeleted.key, UserDeleted.key),
}

#: Keys that some durable queue waits for: publishing one of them to nobody is a failure.
AWAITED_KEYS = frozenset(key for keys in DURABLE_QUEUES.values() for key in keys)


def dead_letter_queue(queue: str) -> str:
    """Return the name of the queue that keeps what `queue` gave up on."""
    return f"{queue}.dead"


async def declare_topology(channel: AbstractChannel) -> AbstractExchange:
    """Declare everything durable (idempotent) and return the events exchange.

    Quorum queues everywhere: RabbitMQ 4.3 refuses durable-less shared queues, and a confirmed event
    survives the loss of a node. `at-least-once` dead-lettering needs `reject-publish`.
    """
    exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    for name, keys in DURABLE_QUEUES.items():
        dead = dead_letter_queue(name)
        await channel.declare_queue(dead, durable=True, arguments={"x-queue-type": "quorum"})
        queue = await channel.declare_queue(
            name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": dead,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        for key in keys:
            await queue.bind(exchange, key)
    return exchange
