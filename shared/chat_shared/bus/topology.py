"""Exchange, durable queues and their dead letters: one table, declared by every process that connects.

Publishers declare the queues too, so an event is never dropped because its consumer was not started yet.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelPreconditionFailed

from chat_shared.contracts.events import MessagesAppended, RoomDeleted, UserDeleted
from chat_shared.logging import get_logger

log = get_logger(__name__)

EXCHANGE = "chat.events"

#: How often the broker gives out an event whose consumer neither settles it nor lives on. It is not the
#: number of tries of a handler (see `Consumer`): whoever dies takes up to fifty innocent deliveries along.
CRASH_LIMIT = 20

#: Looking at dead letters gives each of them back, which counts too; RabbitMQ 4 would drop them after 20.
LOOK_LIMIT = 1_000_000

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


def _work_arguments(queue: str) -> dict[str, Any]:
    """Return the arguments of a work queue; `at-least-once` dead-lettering needs `reject-publish`."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": CRASH_LIMIT,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(queue),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


_DEAD_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": LOOK_LIMIT}


async def declare_topology(open_channel: Callable[[], Awaitable[AbstractChannel]]) -> None:
    """Declare everything durable (idempotent).

    Quorum queues everywhere: RabbitMQ 4.3 refuses durable-less shared queues, and a confirmed event
    survives the loss of a node.

    Args:
        open_channel: opens a channel that may break without consequence.
    """
    channel = await open_channel()
    exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    for name, keys in DURABLE_QUEUES.items():
        channel = await _declare_queue(channel, open_channel, dead_letter_queue(name), _DEAD_ARGUMENTS)
        channel = await _declare_queue(channel, open_channel, name, _work_arguments(name))
        queue = await channel.get_queue(name, ensure=False)
        for key in keys:
            await queue.bind(exchange.name, key)
    await channel.close()


async def _declare_queue(
    channel: AbstractChannel,
    open_channel: Callable[[], Awaitable[AbstractChannel]],
    name: str,
    arguments: dict[str, Any],
) -> AbstractChannel:
    """Declare a queue; return the channel to go on with, as a refusal ends the channel.

    The arguments of a queue are fixed when it is made. One that an earlier version made is used as it is:
    a new version must not be cut off from its work.
    """
    try:
        await channel.declare_queue(name, durable=True, arguments=arguments)
    except ChannelPreconditionFailed as error:
        log.warning("queue keeps its older arguments until it is made anew", queue=name, error=str(error))
        return await open_channel()
    return channel
