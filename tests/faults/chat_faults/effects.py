"""What consumers made of the events: each effect once, nothing left in outboxes, queues and dead letters."""

from collections.abc import Mapping
from typing import Any

import aio_pika
from bson import ObjectId
from chat_shared.bus import DURABLE_QUEUES, dead_letter_queue
from chat_shared.testing import eventually
from pymongo import AsyncMongoClient

EFFECT_SECONDS = 40.0


async def queue_depths(amqp_url: str, *, dead: bool) -> dict[str, int]:
    """Return how many messages wait in each durable queue, or in its dead letters."""
    async with await aio_pika.connect(amqp_url, timeout=5) as connection:
        channel = await connection.channel()
        depths = {}
        for name in DURABLE_QUEUES:
            queue = await channel.declare_queue(dead_letter_queue(name) if dead else name, passive=True)
            depths[name] = queue.declaration_result.message_count or 0
        return depths


async def missing_effects(
    mongo_url: str, amqp_url: str, heads: Mapping[str, int], *, timeout: float = EFFECT_SECONDS
) -> list[str]:
    """Wait until every consumer has done its work; return in words what was not done in time.

    Args:
        heads: room id -> the last `seq` of its log.
    """

    async with AsyncMongoClient[dict[str, Any]](mongo_url, serverSelectionTimeoutMS=5_000) as client:

        async def nothing_left() -> bool:
            behind = await _behind(client, heads)
            assert not behind, f"{len(behind)} rooms are not as far as their logs: {behind[:3]}"
            pending = await client["chat_messaging"]["room_log"].count_documents({"pub": 0})
            assert not pending, f"{pending} flags still wait for their entries to be published"
            waiting = {name: n for name, n in (await queue_depths(amqp_url, dead=False)).items() if n}
            assert not waiting, f"queues are not empty: {waiting}"
            return True

        try:
            await eventually(nothing_left, timeout, "all effects")
        except AssertionError as error:
            return [str(error)]
    return []


async def _behind(client: AsyncMongoClient[dict[str, Any]], heads: Mapping[str, int]) -> list[str]:
    rooms = client["chat_rooms"]["rooms"].find(
        {"_id": {"$in": [ObjectId(room_id) for room_id in heads]}}, {"lastSeq": 1}
    )
    last = {str(room["_id"]): room.get("lastSeq", 0) async for room in rooms}
    return [f"{room}: {last.get(room)} of {head}" for room, head in heads.items() if last.get(room) != head]
