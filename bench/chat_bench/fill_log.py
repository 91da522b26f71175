"""Writes a long history straight into the room log, as a process of its own.

A million messages through the front door would take an hour and fill every cache on the way. What stands in
the log afterwards is what messaging itself would have written: its own code seals each message under the
room's own key and makes the document, numbered densely and published already. Nobody may have spoken in the
room before, since messaging remembers where the log of a room ends. The process is one of its own because it
imports a service, which the rest of the benchmark treats as a black box, and because it takes a while.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from bson import ObjectId
from chat_messaging.ciphers import RoomKey
from chat_messaging.domain import Body, Draft, MessageKey
from chat_messaging.fanout import HEAD_TTL_SECONDS, head_key
from chat_messaging.room_keys import RoomKeys
from chat_messaging.store.room_keys import RoomKeyStore
from chat_shared.contracts.base import utc_now
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo
from pymongo import WriteConcern
from redis.asyncio import Redis

BATCH = 5_000
CONTENT_LENGTH = 100


class LogFiller:
    """Makes the messages of one room."""

    def __init__(self, key: RoomKey, room_id: str, sender_ids: Sequence[str], count: int) -> None:
        self._key = key
        self._room_id = room_id
        self._sender_ids = sender_ids
        self._begun = utc_now() - timedelta(milliseconds=count)
        self._no_answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def documents(self, first: int, last: int) -> list[dict[str, Any]]:
        """Return the log entries from one `seq` to another."""
        return [self._document(seq) for seq in range(first, last + 1)]

    def _document(self, seq: int) -> dict[str, Any]:
        return self._draft(seq).document(seq, self._begun + timedelta(milliseconds=seq))

    def _draft(self, number: int) -> Draft:
        key = MessageKey(self._sender_ids[number % len(self._sender_ids)], f"stored-{number}")
        body = Body(f"message {number} ".ljust(CONTENT_LENGTH, "."), "text", None)
        message_id = ObjectId()
        return Draft(
            room_id=self._room_id,
            key=key,
            body=body,
            message_id=message_id,
            cipher=self._key.seal(self._room_id, message_id, key, body.to_bytes()),
            body_hash=self._key.hash(key, body.to_bytes()),
            deadline=0,
            answer=self._no_answer,
        )


async def fill(mongo: Mongo, keys: MasterKeys, room_id: str, sender_ids: Sequence[str], count: int) -> None:
    """Write `count` messages; the senders take turns."""
    key = await RoomKeys(RoomKeyStore(mongo), keys).for_writing(room_id)
    filler = LogFiller(key, room_id, sender_ids, count)
    log = mongo.collection("room_log").with_options(write_concern=WriteConcern(w=1))
    for first in range(1, count + 1, BATCH):
        await log.insert_many(filler.documents(first, min(first + BATCH - 1, count)), ordered=False)


def main(
    room_id: str,
    count: int,
    sender_ids: Annotated[str, typer.Argument(help="User ids, comma-separated.")],
    mongo_url: Annotated[str, typer.Option()],
    redis_url: Annotated[str, typer.Option()],
    master_keys: Annotated[Path, typer.Option(help="The file with the master keys of messaging.")],
) -> None:
    """Write messages into a room that has none."""

    async def work() -> None:
        mongo = Mongo(mongo_url, "chat_messaging")
        keys = MasterKeys.parse(master_keys.read_text())
        try:
            await fill(mongo, keys, room_id, sender_ids.split(","), count)
        finally:
            await mongo.stop()
        async with Redis.from_url(redis_url) as redis:
            await redis.set(head_key(room_id), count, ex=HEAD_TTL_SECONDS)

    asyncio.run(work())


if __name__ == "__main__":
    typer.run(main)
