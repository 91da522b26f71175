"""The agreed shapes of what clients see, checked field by field."""

import re
from collections.abc import Mapping
from typing import Any

from chat_shared.contracts.sockets import Message, MessageHistory

USER_FIELDS = frozenset(
    {"id", "_id", "username", "firstname", "lastname", "avatarUrl", "isOnline", "lastSeen", "createdAt"}
)
OWN_USER_FIELDS = USER_FIELDS | {"email"}
ROOM_FIELDS = frozenset(
    {
        "id",
        "_id",
        "roomName",
        "roomType",
        "description",
        "createdBy",
        "members",
        "memberCount",
        "createdAt",
        "updatedAt",
    }
)
MY_ROOM_FIELDS = ROOM_FIELDS | {"role", "lastSeq", "lastMessageAt", "unread"}
MESSAGE_FIELDS = frozenset(
    {
        "messageId",
        "_id",
        "roomId",
        "seq",
        "senderId",
        "sender",
        "content",
        "messageType",
        "imageUrl",
        "createdAt",
        "clientMessageId",
    }
)

_ENTITY_ID = re.compile(r"[0-9a-f]{24}")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_timestamp(value: Any) -> bool:
    """Tell whether `value` is RFC 3339 in UTC with milliseconds."""
    return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None


def check_entity(entity: Mapping[str, Any], fields: frozenset[str]) -> None:
    """Check an entity: exactly these fields, `_id` beside `id`, times as agreed."""
    assert set(entity) == fields, set(entity) ^ fields
    assert _ENTITY_ID.fullmatch(entity["id"])
    assert entity["_id"] == entity["id"]
    for name in ("createdAt", "updatedAt", "lastSeen", "lastMessageAt"):
        assert entity.get(name) is None or is_timestamp(entity[name]), (name, entity[name])
    assert is_timestamp(entity["createdAt"])


def check_message(payload: Mapping[str, Any]) -> Message:
    """Check and parse a message: the documented fields, and those of the Express original."""
    assert set(payload) == MESSAGE_FIELDS, set(payload) ^ MESSAGE_FIELDS
    assert payload["_id"] == payload["messageId"]
    assert payload["sender"] == payload["senderId"]
    assert is_timestamp(payload["createdAt"])
    return Message.model_validate(payload)


def check_history(payload: Mapping[str, Any]) -> MessageHistory:
    """Check and parse a `message-history`: oldest first, without a gap, within one room."""
    assert set(payload) == {"roomId", "messages", "head", "epoch", "reset"}
    messages = [check_message(message) for message in payload["messages"]]
    seqs = [message.seq for message in messages]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
    assert {message.room_id for message in messages} <= {payload["roomId"]}
    return MessageHistory.model_validate(payload)
