"""Messaging processes as the model sees them: real appenders and readers on a real MongoDB, without HTTP."""

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from bson import ObjectId
from chat_messaging.appender import AppenderParts
from chat_messaging.appenders import Appenders
from chat_messaging.crash_points import CrashPoints
from chat_messaging.domain import Body, Committed, Draft, MessageKey
from chat_messaging.group_commit import GroupCommit
from chat_messaging.reading import Reader
from chat_messaging.room_keys import RoomKeys
from chat_messaging.store.room_keys import RoomKeyStore
from chat_messaging.store.room_log import RoomLogStore
from chat_shared.contracts.internal import SendResult
from chat_shared.crypto import MasterKeys
from chat_shared.mongo import Mongo

SEND_SECONDS = 8.0
MAX_WAITING = 1_000
MASTER_KEYS = f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"

Publish = Callable[[list[Committed]], None]


@dataclass(frozen=True)
class Message:
    """What a client wants to say, under an id of its own making."""

    room_id: str
    sender_id: str
    client_message_id: str
    text: str

    @property
    def key(self) -> MessageKey:
        return MessageKey(self.sender_id, self.client_message_id)


class MessagingProcess:
    """One process: a connection, a reader, and the memory of an appender, which a crash throws away."""

    def __init__(self, mongo_url: str, database: str) -> None:
        self._mongo = Mongo(mongo_url, database)
        self._store = RoomLogStore(self._mongo)
        self._keys = RoomKeys(RoomKeyStore(self._mongo), MasterKeys.parse(MASTER_KEYS))
        self.reader = Reader(self._store, self._keys)
        self._publish: Publish = lambda _entries: None
        self._appenders = self._new_appenders()

    def _new_appenders(self) -> Appenders:
        self._inserts = GroupCommit(self._store, CrashPoints())
        parts = AppenderParts(
            self._store,
            self._inserts,
            lambda _draft: True,
            lambda entries: self._publish(entries),
            CrashPoints(),
            max_waiting=MAX_WAITING,
        )
        return Appenders(parts, max_waiting=MAX_WAITING)

    async def start(self) -> None:
        await self._mongo.start()
        await self._mongo.wait_prepared()

    async def stop(self) -> None:
        await self._appenders.stop()
        await self._inserts.stop()
        await self._mongo.stop()

    async def crash(self, publish: Publish | None = None) -> None:
        """Lose all memory, with whatever is under way; begin again."""
        dead = self._appenders, self._inserts
        self._appenders = self._new_appenders()
        self._publish = publish or self._publish
        for part in dead:
            await part._tasks.cancel()  # at whatever await its inserts are

    async def send(self, message: Message) -> SendResult:
        """Append a message and return its outcome."""
        room_key = await self._keys.for_writing(message.room_id)
        body = Body(message.text, "text", None)
        message_id = ObjectId()
        draft = Draft(
            room_id=message.room_id,
            key=message.key,
            body=body,
            message_id=message_id,
            cipher=room_key.seal(message.room_id, message_id, message.key, body.to_bytes()),
            body_hash=room_key.hash(message.key, body.to_bytes()),
            deadline=time.monotonic() + SEND_SECONDS,
            answer=asyncio.get_running_loop().create_future(),
        )
        self._appenders.submit(draft)
        return await draft.answer
