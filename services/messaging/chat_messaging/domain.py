"""The rules of the room log: what an entry is, how it is stored, and how clients see it. No I/O."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from bson import ObjectId
from chat_shared.contracts.base import format_timestamp, utc_now
from chat_shared.contracts.internal import SendError, SendResult
from chat_shared.errors import ChatError, OutcomeUnknown

from chat_messaging.errors import Busy, IdempotencyConflict

MESSAGE = "message"
REST_SEND = "message:rest"
"""The rate that limits sending over REST; the gateway limits its sockets itself."""
PENDING = 0
"""Value of `pub` while entries still have to be published: this one, and the `more` that follow it and were
inserted with it. Afterwards both fields are gone."""
FRAME_HEAD = '42["new-message",'


class MessageKey(NamedTuple):
    """What makes a message the same one: its sender and the id that its client gave it."""

    sender_id: str
    client_message_id: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a message says; stored only as ciphertext."""

    content: str
    message_type: str
    image_url: str | None

    def to_bytes(self) -> bytes:
        """Return the plaintext that is encrypted and hashed."""
        return orjson.dumps([self.content, self.message_type, self.image_url])

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> "Body":
        """Read what `to_bytes` wrote."""
        content, message_type, image_url = orjson.loads(plaintext)
        return cls(content, message_type, image_url)


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry that has its place in the log."""

    message_id: ObjectId
    seq: int
    created_at: datetime

    def result(self, *, duplicate: bool) -> SendResult:
        """Return the acknowledgement."""
        return SendResult(
            message_id=str(self.message_id),
            seq=self.seq,
            created_at=self.created_at,
            duplicate=duplicate,
            error=None,
        )


@dataclass(slots=True, eq=False)
class Draft:
    """A message on its way into the log: sealed already, without a number yet."""

    room_id: str
    key: MessageKey
    body: Body
    message_id: ObjectId
    cipher: dict[str, Any]
    body_hash: bytes
    deadline: float
    """Monotonic time at which its sender stops waiting."""
    answer: asyncio.Future[SendResult]
    maybe_stored: bool = False
    """An insert of it went unanswered: whatever refuses it now, it may be in the log."""
    trace: str | None = None
    """The `traceparent` of what the sender waits for, where that is traced."""
    repeats: list["Draft"] = field(default_factory=list)
    """The same message, sent again while this one is under way."""

    @property
    def size(self) -> int:
        """Bytes that it adds to an insert, roughly."""
        return len(self.cipher["ct"]) + 300

    def document(self, seq: int, created_at: datetime) -> dict[str, Any]:
        """Return the log entry, without the flag that makes it an outbox row."""
        return {
            "_id": self.message_id,
            "roomId": ObjectId(self.room_id),
            "seq": seq,
            "senderId": ObjectId(self.key.sender_id),
            "clientMessageId": self.key.client_message_id,
            "type": MESSAGE,
            "cipher": self.cipher,
            "bodyHash": self.body_hash,
            "ts": created_at,
        }

    def stored(self, placed: Placed, *, duplicate: bool = False) -> None:
        """Answer: it is in the log; so are its repeats."""
        self._answer(placed.result(duplicate=duplicate))
        for repeat in self.repeats:
            repeat.matches(placed, self.body_hash)

    def matches(self, placed: Placed, body_hash: bytes) -> None:
        """Answer for a message whose key is in the log: the first answer again, or a conflict."""
        if body_hash == self.body_hash:
            self.stored(placed, duplicate=True)
        else:
            self.refused(IdempotencyConflict())

    def refused(self, error: ChatError) -> None:
        """Answer: it is not in the log, or nobody knows."""
        if self.maybe_stored:
            error = OutcomeUnknown()
        self._answer(failed(error))
        for repeat in self.repeats:
            repeat.refused(error if error.retryable else Busy())

    def _answer(self, result: SendResult) -> None:
        if not self.answer.done():
            self.answer.set_result(result)


@dataclass(frozen=True, slots=True)
class Committed:
    """An entry that a majority has, ready to be published."""

    placed: Placed
    room_id: str
    sender_id: str
    frame: str
    has_flag: bool = False
    """Its document says that it, and those behind it, still have to be published."""
    trace: str | None = None


def failed(error: ChatError) -> SendResult:
    """Return the refusal of one item."""
    return SendResult(error=SendError(code=error.code, message=error.message, retryable=error.retryable))


def message_view(room_id: str, key: MessageKey, body: Body, placed: Placed) -> dict[str, Any]:
    """Return a message as every client sees it: the `Message` contract, with the names of old clients."""
    message_id = str(placed.message_id)
    return {
        "messageId": message_id,
        "roomId": room_id,
        "seq": placed.seq,
        "senderId": key.sender_id,
        "content": body.content,
        "messageType": body.message_type,
        "imageUrl": body.image_url,
        "createdAt": format_timestamp(placed.created_at),
        "clientMessageId": key.client_message_id,
        "_id": message_id,
        "sender": key.sender_id,
    }


def frame_of(view: dict[str, Any]) -> str:
    """Return the `new-message` frame of a message: what every gateway writes as it is."""
    return f"{FRAME_HEAD}{orjson.dumps(view).decode()}]"


def placed_of(entry: Mapping[str, Any]) -> Placed:
    """Return where a stored entry is."""
    return Placed(entry["_id"], entry["seq"], entry["ts"])


def places_behind(head: int, drafts: Sequence[Draft]) -> list[Placed]:
    """Return the places that drafts get behind a head, in their order."""
    now = utc_now()
    return [Placed(draft.message_id, head + number, now) for number, draft in enumerate(drafts, start=1)]


def documents_of(drafts: Sequence[Draft], places: Sequence[Placed]) -> list[dict[str, Any]]:
    """Return drafts as entries at these places, the first with the flag for all of them.

    An insert keeps their order, so when any of them is stored the flag is. One flag for each would have
    every entry written twice, and be a quarter of what a message costs at high rates.
    """
    documents = [
        draft.document(place.seq, place.created_at) for draft, place in zip(drafts, places, strict=True)
    ]
    documents[0] |= {"pub": PENDING, "more": len(documents) - 1}
    return documents


def last_deadline(drafts: Sequence[Draft]) -> float:
    """The last one's time: who gave up before that asks again, and must not cost the others theirs."""
    return max(draft.deadline for draft in drafts)


def committed_entry(draft: Draft, placed: Placed, *, has_flag: bool = False) -> Committed:
    """Return what is published of a draft that found its place."""
    frame = frame_of(message_view(draft.room_id, draft.key, draft.body, placed))
    return Committed(placed, draft.room_id, draft.key.sender_id, frame, has_flag, draft.trace)


def by_room(entries: Iterable[Committed]) -> dict[str, list[Committed]]:
    """Group entries by room, keeping their order."""
    rooms: dict[str, list[Committed]] = {}
    for entry in entries:
        rooms.setdefault(entry.room_id, []).append(entry)
    return rooms
