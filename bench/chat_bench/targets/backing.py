"""MongoDB, Redis and RabbitMQ: started once, and shared by all targets."""

import os
from collections.abc import Sequence
from pathlib import Path

from chat_local.programs import mongod, rabbitmq, redis
from chat_local.stack import Stack, StackOptions

MONGOD, REDIS, RABBITMQ = mongod.NAME, redis.NAME, rabbitmq.NAME

#: The machine's own settings must not change what is measured.
_FOREIGN = ("CHAT_", "CLOUDINARY_", "MONGO", "REDIS_", "RABBITMQ_", "AMQP_", "ACCESS_TOKEN", "REFRESH_TOKEN")


def environment() -> dict[str, str]:
    """Return the environment without settings of the services."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def backing_stack(folder: Path) -> Stack:
    """Return the servers, not started."""
    return Stack(StackOptions(folder / "backing", services=False, environ=environment()))


def pids_of(backing: Stack, names: Sequence[str]) -> dict[str, list[int]]:
    """Return the pids of servers by name."""
    return {name: [backing.process(name).pid] for name in names}
