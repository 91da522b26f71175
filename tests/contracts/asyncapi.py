"""The AsyncAPI 3 document of everything that is not HTTP: Socket.IO events and RabbitMQ events."""

from typing import Any

from chat_shared.bus import EXCHANGE
from chat_shared.contracts import sockets
from chat_shared.contracts.events import EVENTS
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

REF_TEMPLATE = "#/components/schemas/{model}"

#: Event a client sends -> its payload and the acknowledgement it gets.
CLIENT_EVENTS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "join_room": (sockets.JoinRoom, sockets.AckJoined),
    "leave_room": (sockets.LeaveRoom, sockets.AckDone),
    "send_message": (sockets.SendMessage, sockets.AckSent),
    "sync": (sockets.Sync, sockets.AckSynced),
    "typing": (sockets.Typing, sockets.AckDone),
}

#: Event the server sends -> its payload.
SERVER_EVENTS: dict[str, type[BaseModel]] = {
    "user-online": sockets.RoomPresence,
    "user-offline": sockets.RoomPresence,
    "user-joined": sockets.RoomPresence,
    "user-left": sockets.RoomPresence,
    "new-message": sockets.Message,
    "message-history": sockets.MessageHistory,
    "heads": sockets.DeliveredHeads,
    "typing": sockets.TypingNotice,
    "room-updated": sockets.RoomChanged,
    "room-deleted": sockets.RoomGone,
    "session-ended": sockets.SessionEnded,
    "drain": sockets.Drain,
    "connect_error": sockets.ConnectError,
    "error": sockets.ErrorNotice,
}


def asyncapi_document() -> dict[str, Any]:
    """Return the document, made from the models alone."""
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chat events",
            "version": "1.0.0",
            "description": (
                "Socket.IO events between clients and the gateway, and facts between services on RabbitMQ. "
                "A refused client event is acknowledged with AckFailed."
            ),
        },
        "channels": {
            "socket": {"address": "/socket.io", "messages": {}},
            "bus": {"address": EXCHANGE, "messages": {}},
        },
        "operations": {},
        "components": {"messages": {}, "schemas": _schemas()},
    }
    for name, (payload, ack) in CLIENT_EVENTS.items():
        _add(document, "socket", f"client.{name}", name, payload, "receive", ack)
    for name, payload in SERVER_EVENTS.items():
        _add(document, "socket", f"server.{name}", name, payload, "send", None)
    for key, event in EVENTS.items():
        _add(document, "bus", key, key, event, "send", None)
    return document


def _schemas() -> dict[str, Any]:
    written = [ack for _, ack in CLIENT_EVENTS.values()] + [
        *SERVER_EVENTS.values(),
        *EVENTS.values(),
        sockets.AckFailed,
    ]
    read = [payload for payload, _ in CLIENT_EVENTS.values()]
    _, definitions = models_json_schema(
        [(model, "serialization") for model in written] + [(model, "validation") for model in read],
        ref_template=REF_TEMPLATE,
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return dict(sorted(schemas.items()))


def _add(
    document: dict[str, Any],
    channel: str,
    message_id: str,
    name: str,
    payload: type[BaseModel],
    action: str,
    ack: type[BaseModel] | None,
) -> None:
    key = message_id.replace(".", "_").replace("-", "_")
    message = {
        "name": name,
        "summary": (payload.__doc__ or name).strip().splitlines()[0],
        "contentType": "application/json",
        "payload": {"$ref": REF_TEMPLATE.format(model=payload.__name__)},
    }
    if ack is not None:
        message["x-acknowledgement"] = {
            "oneOf": [
                {"$ref": REF_TEMPLATE.format(model=model.__name__)} for model in (ack, sockets.AckFailed)
            ]
        }
    document["components"]["messages"][key] = message
    document["channels"][channel]["messages"][key] = {"$ref": f"#/components/messages/{key}"}
    document["operations"][f"{action}_{key}"] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{key}"}],
    }
