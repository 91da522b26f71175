"""The AsyncAPI 3 document of everything that is not HTTP: Socket.IO events and RabbitMQ events."""

from collections.abc import Iterable
from typing import Any

from chat_gateway_ws.admission import TooManySockets
from chat_gateway_ws.errors import Busy, NotAMember, RoomNotFound, TooManyEvents, UnknownEvent
from chat_messaging.errors import SEND_FAILURES
from chat_shared.bus import EXCHANGE
from chat_shared.bus.consumer import EVENT_ID_HEADER, KEY_HEADER
from chat_shared.contracts import sockets
from chat_shared.contracts.events import EVENTS, Event
from chat_shared.contracts.examples import example_of
from chat_shared.errors import ChatError, OutcomeUnknown, Unauthenticated, Unavailable, ValidationFailed
from chat_shared.request_context import REQUEST_ID_HEADER
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

Failures = tuple[type[ChatError], ...]

REFERENCE = "#/components/schemas/{model}"
JSON = "application/json"

#: Event a client sends -> its payload, the acknowledgement it gets, and what it may be refused with.
CLIENT_EVENTS: dict[str, tuple[type[BaseModel], type[BaseModel], Failures]] = {
    "join_room": (
        sockets.JoinRoom,
        sockets.AckJoined,
        (ValidationFailed, TooManyEvents, Busy, NotAMember, RoomNotFound, Unavailable),
    ),
    "leave_room": (sockets.LeaveRoom, sockets.AckDone, (ValidationFailed, TooManyEvents, Busy, NotAMember)),
    "send_message": (
        sockets.SendMessage,
        sockets.AckSent,
        (ValidationFailed, TooManyEvents, *SEND_FAILURES.values()),
    ),
    "sync": (sockets.Sync, sockets.AckSynced, (ValidationFailed, TooManyEvents, Busy)),
    "typing": (sockets.Typing, sockets.AckDone, (ValidationFailed, TooManyEvents, NotAMember)),
}
#: What one room of a `sync` may fail with.
SYNC_ROOM_FAILURES: Failures = (NotAMember, RoomNotFound, Unavailable)
CONNECT_FAILURES: Failures = (Unauthenticated, TooManySockets, Busy, Unavailable, OutcomeUnknown)
EVENT_FAILURES: Failures = (
    UnknownEvent,
    *(failure for _, _, them in CLIENT_EVENTS.values() for failure in them),
)

#: Event the server sends -> its payload and what it means.
SERVER_EVENTS: dict[str, tuple[type[BaseModel], str]] = {
    "user-online": (sockets.RoomPresence, "A user of the room came online"),
    "user-offline": (sockets.RoomPresence, "A user of the room went offline"),
    "user-joined": (sockets.RoomPresence, "A user became a member, or opened the room"),
    "user-left": (sockets.RoomPresence, "A user is no longer a member, or left the room on a socket"),
    "new-message": (sockets.Message, "A message was stored, or is sent again by `sync`"),
    "message-history": (sockets.MessageHistory, "What was written in a room before, oldest first"),
    "heads": (sockets.DeliveredHeads, "How far the rooms of this socket were delivered"),
    "typing": (sockets.TypingNotice, "A user writes, or stopped"),
    "room-updated": (sockets.RoomChanged, "Name, type, description or owner of a room changed"),
    "room-deleted": (sockets.RoomGone, "A room is gone"),
    "session-ended": (sockets.SessionEnded, "The session is over; the socket closes now"),
    "drain": (sockets.Drain, "This gateway goes away; reconnect after the delay"),
    "connect_error": (sockets.ConnectError, "The socket was not let in"),
    "error": (sockets.ErrorNotice, "An event that asked for no acknowledgement was refused"),
}


def asyncapi_document() -> dict[str, Any]:
    """Return the document, made from the models and error classes alone."""
    document: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chat events",
            "version": "1.0.0",
            "description": (
                "Socket.IO events between clients and the gateway, as the gateway sees them, and facts "
                "between services on RabbitMQ. Each client event is answered by one acknowledgement: the "
                f"reply of its operation. An unknown event is refused with `{UnknownEvent.code}`."
            ),
        },
        "defaultContentType": JSON,
        "servers": {
            "gateway": {"host": "localhost:8080", "protocol": "ws", "description": "Socket.IO 4"},
            "broker": {"host": "localhost:5672", "protocol": "amqp", "description": "RabbitMQ, never public"},
        },
        "channels": {
            "socket": _channel("/socket.io", "gateway", "One connection of a client"),
            "bus": _channel(EXCHANGE, "broker", "A topic exchange; the name of a message is its routing key"),
        },
        "operations": {},
        "components": {"messages": {}, "schemas": _schemas()},
    }
    for name, (payload, answer, failures) in CLIENT_EVENTS.items():
        _add_client_event(document, name, payload, answer, failures)
    for name, (payload, summary) in SERVER_EVENTS.items():
        key = f"server_{name.replace('-', '_')}"
        _add_message(document, "socket", key, name, summary, _payload_of(name, payload))
        _add_operation(document, "socket", f"send_{key}", "send", summary, [key])
    for name, event in EVENTS.items():
        key = name.replace(".", "_")
        _add_message(document, "bus", key, name, _summary(event), _ref(event), headers=_headers(event))
        _add_operation(document, "bus", f"send_{key}", "send", _summary(event), [key])
    return document


def _channel(address: str, server: str, description: str) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {},
    }


def _schemas() -> dict[str, Any]:
    frames = [answer for _, answer, _ in CLIENT_EVENTS.values()]
    frames += [payload for payload, _ in SERVER_EVENTS.values()] + [sockets.AckFailed]
    read = [payload for payload, _, _ in CLIENT_EVENTS.values()]
    _, written = models_json_schema([(m, "serialization") for m in frames], ref_template=REFERENCE)
    _, others = models_json_schema(
        [(model, "validation") for model in read] + [(event, "serialization") for event in EVENTS.values()],
        ref_template=REFERENCE,
    )
    schemas: dict[str, Any] = others["$defs"] | {
        name: _without_null(schema) for name, schema in written["$defs"].items()
    }
    return dict(sorted(schemas.items()))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a model that goes out without what is null, as all does over a socket."""
    optional = {name for name, field in schema["properties"].items() if field.get("default", ...) is None}
    properties = {
        name: _not_null(field) if name in optional else field for name, field in schema["properties"].items()
    }
    required = [name for name in schema.get("required", ()) if name not in optional]
    return {**schema, "properties": properties, "required": required}


def _not_null(field: dict[str, Any]) -> dict[str, Any]:
    [kept] = [choice for choice in field["anyOf"] if choice != {"type": "null"}]
    return {**{key: value for key, value in field.items() if key not in ("anyOf", "default")}, **kept}


def _add_client_event(
    document: dict[str, Any],
    name: str,
    payload: type[BaseModel],
    answer: type[BaseModel],
    failures: Failures,
) -> None:
    event, done, refused = f"client_{name}", f"ack_{name}", f"refusal_{name}"
    says = _summary(payload).partition(": ")[2]
    summary = says[0].upper() + says[1:]
    _add_message(document, "socket", event, name, summary, _ref(payload))
    _add_message(document, "socket", done, done, f"Acknowledges {name}", _answer_of(name, answer))
    codes = {"properties": {"error": {"properties": {"code": {"enum": _codes(failures)}}}}}
    _add_message(
        document,
        "socket",
        refused,
        refused,
        f"Acknowledges {name} that was refused",
        {"allOf": [_ref(sockets.AckFailed), codes]},
        examples=[_refusal(failure) for failure in _by_code(failures)],
    )
    _add_operation(document, "socket", f"receive_{event}", "receive", summary, [event], reply=[done, refused])


def _answer_of(name: str, answer: type[BaseModel]) -> dict[str, Any]:
    if name != "sync":
        return _ref(answer)
    code = {"properties": {"code": {"enum": _codes(SYNC_ROOM_FAILURES)}}}
    rooms = {"items": {"properties": {"error": code}}}
    return {"allOf": [_ref(answer), {"properties": {"rooms": rooms}}]}


def _payload_of(name: str, payload: type[BaseModel]) -> dict[str, Any]:
    if name == "error":
        return {"allOf": [_ref(payload), {"properties": {"code": {"enum": _codes(EVENT_FAILURES)}}}]}
    if name == "connect_error":
        code = {"properties": {"code": {"enum": _codes(CONNECT_FAILURES)}}}
        return {"allOf": [_ref(payload), {"properties": {"data": code}}]}
    return _ref(payload)


def _by_code(failures: Iterable[type[ChatError]]) -> list[type[ChatError]]:
    return [failure for _, failure in sorted({failure.code: failure for failure in failures}.items())]


def _codes(failures: Iterable[type[ChatError]]) -> list[str]:
    return [failure.code for failure in _by_code(failures)]


def _refusal(failure: type[ChatError]) -> dict[str, Any]:
    error = sockets.AckError(code=failure.code, message=failure.message, retryable=failure.retryable)
    return {
        "name": failure.code,
        "summary": failure.message,
        "payload": sockets.AckFailed(error=error).model_dump(mode="json"),
    }


def _headers(event: type[Event]) -> dict[str, Any]:
    """Return the headers that `Bus` writes: attributes of CloudEvents 1.0, and the request that led to it."""
    text = {"type": "string"}
    properties = {
        "cloudEvents:specversion": {"const": "1.0"},
        EVENT_ID_HEADER: {**text, "description": "The same in every delivery of the event"},
        KEY_HEADER: {"const": event.key},
        "cloudEvents:source": {**text, "description": "The service that tells it", "examples": ["rooms"]},
        "cloudEvents:time": {**text, "format": "date-time"},
        REQUEST_ID_HEADER: {**text, "description": "The request that led to it; empty where there was none"},
    }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or model.__name__).strip().splitlines()[0]


def _add_message(
    document: dict[str, Any],
    channel: str,
    key: str,
    name: str,
    summary: str,
    payload: dict[str, Any],
    *,
    headers: dict[str, Any] | None = None,
    examples: list[dict[str, Any]] | None = None,
) -> None:
    if examples is None:
        model = payload.get("allOf", [payload])[0]
        examples = [{"payload": example_of(model, document["components"]["schemas"], place=name)}]
    message = {
        "name": name,
        "title": name,
        "summary": summary,
        "contentType": JSON,
        "payload": payload,
        "examples": examples,
        **({"headers": headers} if headers else {}),
    }
    document["components"]["messages"][key] = message
    document["channels"][channel]["messages"][key] = {"$ref": f"#/components/messages/{key}"}


def _add_operation(
    document: dict[str, Any],
    channel: str,
    key: str,
    action: str,
    summary: str,
    messages: list[str],
    *,
    reply: list[str] | None = None,
) -> None:
    def refs(keys: list[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in keys]

    where = {"$ref": f"#/channels/{channel}"}
    operation = {"action": action, "channel": where, "summary": summary, "messages": refs(messages)}
    if reply:
        operation["reply"] = {"channel": where, "messages": refs(reply)}
    document["operations"][key] = operation
