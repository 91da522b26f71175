"""A look behind the scenes of a rig: metrics, databases and queues, and small acts of sabotage in them."""

import time
from collections.abc import Iterable
from typing import Any

import aio_pika
from chat_shared.bus import dead_letter_queue
from chat_shared.ids import uuid7
from chat_shared.testing import ApiClient
from pymongo import AsyncMongoClient

from chat_faults.effects import queue_depths
from chat_faults.fault import Run
from chat_faults.rig import Rig

Client = AsyncMongoClient[dict[str, Any]]


def _mongo(rig: Rig) -> Client:
    return AsyncMongoClient[dict[str, Any]](rig.replica_set.url, serverSelectionTimeoutMS=5_000)


async def metric(api: ApiClient, rig: Rig, names: Iterable[str], metric_name: str) -> float:
    """Return the sum of a metric over processes and labels."""
    total = 0.0
    for name in names:
        response = await api.http.get(f"{rig.process(name).url}/metrics")
        for line in response.text.splitlines():
            if line.startswith((f"{metric_name} ", f"{metric_name}{{")):
                total += float(line.rpartition(" ")[2])
    return total


async def unpublished(rig: Rig) -> int:
    """Return how many entries of the log are still to be published."""
    async with _mongo(rig) as client:
        flags = client["chat_messaging"]["room_log"].find({"pub": 0}, {"more": 1})
        return sum([1 + flag.get("more", 0) async for flag in flags])


async def drop_sweep_lease(rig: Rig) -> None:
    """Take the lease away from whoever sweeps, so that two do at once."""
    async with _mongo(rig) as client:
        await client["chat_messaging"]["leases"].delete_many({})


async def activity_lag(run: Run) -> float:
    """Return how long a message takes from its acknowledgement to the counters of its room, in seconds."""
    room, key = run.load.rooms[-1], uuid7()
    run.load.expect(room.id, key, "probe")
    body = {"content": "probe", "clientMessageId": key}
    path = f"/room/{room.id}/messages"
    sent = await run.api.data("POST", path, room.owner, status=201, json=body)
    began = time.monotonic()
    while True:
        mine = {each["id"]: each for each in await run.api.data("GET", "/room", room.owner)}
        if mine[room.id]["lastSeq"] >= sent["seq"]:
            return time.monotonic() - began


async def drop_dead_letters(rig: Rig, queue: str) -> None:
    """Throw away what a queue gave up on."""
    async with await aio_pika.connect(rig.amqp_url) as connection:
        channel = await connection.channel()
        dead = await channel.get_queue(dead_letter_queue(queue))
        await dead.purge()


async def dead_letters(rig: Rig) -> dict[str, int]:
    """Return the queues that gave up on something, with how much."""
    return {name: count for name, count in (await queue_depths(rig.amqp_url, dead=True)).items() if count}
