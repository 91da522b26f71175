"""Begins a new epoch of the log: `python -m chat_messaging.new_epoch`, after every restored backup.

Clients then hold positions that mean nothing any more. Each of them is told to begin anew, instead of
going on with a silent hole. Takes the settings of the service; the service may be stopped or running.
"""

import asyncio
import sys

from chat_shared.app import load_settings
from chat_shared.mongo import Mongo
from chat_shared.redis import RedisConnection
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from chat_messaging.fanout import forget_heads
from chat_messaging.settings import Settings
from chat_messaging.store.log_meta import LogMetaStore


async def begin_new_epoch(settings: Settings) -> int:
    """Raise the epoch and return it; positions that Redis keeps of the log before are removed.

    Raises:
        PyMongoError: MongoDB is away; nothing has changed.
    """
    mongo = Mongo(settings.mongo_url, "chat_messaging")
    redis = RedisConnection(settings.redis_url)
    try:
        epoch = await LogMetaStore(mongo).raise_epoch()
        try:
            await forget_heads(redis.client)
        except (RedisError, OSError, TimeoutError) as error:
            sys.stderr.write(f"Redis keeps old positions, which costs reads, nothing else: {error}\n")
        return epoch
    finally:
        await redis.stop()
        await mongo.stop()


def main() -> None:
    """Run the command."""
    settings = load_settings(Settings)
    try:
        epoch = asyncio.run(begin_new_epoch(settings))
    except PyMongoError as error:
        sys.exit(f"MongoDB is away; the epoch is what it was: {error}")
    sys.stdout.write(f"The log is in epoch {epoch} now; every client will begin anew.\n")


if __name__ == "__main__":
    main()
