"""The connection to Redis fails in one way only, also on the event loop that services run on."""

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop
from chat_shared.redis import connect_redis
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from chat_local.stack import Stack


async def _write_to_a_closed_transport(url: str) -> None:
    async with connect_redis(url) as redis:
        await redis.ping()
        connection = await redis.connection_pool.get_connection()
        connection._writer.transport.abort()
        try:
            await asyncio.sleep(0)
            with pytest.raises(RedisConnectionError):
                await connection.send_packed_command(b"PING\r\n", check_health=False)
        finally:
            await redis.connection_pool.release(connection)
        assert await redis.ping()


async def test_a_connection_that_was_just_closed_is_a_lost_connection(stack: "Stack") -> None:
    """uvloop raises a RuntimeError there, which once ended a background task for good."""
    await asyncio.to_thread(uvloop.run, _write_to_a_closed_transport(stack.redis_url))
