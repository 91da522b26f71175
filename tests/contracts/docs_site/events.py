"""The AsyncAPI document as sections of one page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from typing import Any

from markupsafe import Markup

from docs_site.schema import Row, kind, name_of, named, narrowed, rows, schema_anchor

Inline = Callable[[str], Markup]
Document = Mapping[str, Any]

#: Channel and action -> heading of its events and what stands below it, as seen by whoever writes a client.
PARTS = {
    ("socket", "receive"): ("What you send", "Client to gateway, on Socket.IO. Each is acknowledged once."),
    ("socket", "send"): ("What you receive", "Gateway to client, on Socket.IO."),
    ("bus", "send"): (
        "Between services",
        "Facts on RabbitMQ, for whoever runs or changes the services; clients never see them.",
    ),
}


@dataclass(frozen=True)
class Structure:
    """A named schema with its properties."""

    name: str
    anchor: str
    description: Markup
    rows: list[Row]
    closed: bool


@dataclass(frozen=True)
class ErrorCode:
    """A code with which an event may be refused. `retryable` is None where the document does not say it."""

    code: str
    retryable: bool | None
    meaning: Markup


@dataclass(frozen=True)
class Example:
    """A payload as it may be sent."""

    name: str
    payload: str


@dataclass(frozen=True)
class Answer:
    """One way in which an event is acknowledged."""

    kind: Markup
    narrowed: list[Row]
    examples: list[Example]


@dataclass(frozen=True)
class Event:
    """All that the document says of one message."""

    name: str
    anchor: str
    deprecated: bool
    summary: Markup
    description: Markup
    payload: Structure
    narrowed: list[Row]
    headers: Structure | None
    answers: list[Answer]
    errors: list[ErrorCode]
    examples: list[Example]


@dataclass(frozen=True)
class Part:
    """The events of one direction."""

    title: str
    anchor: str
    about: Markup
    address: str
    events: list[Event] = field(default_factory=list)


def parts(document: Document, inline: Inline) -> list[Part]:
    """Return the events by direction, in the order of `PARTS`; others come last.

    Args:
        inline: renders a line of Markdown.

    Raises:
        KeyError: a reference leads nowhere.
    """
    found: dict[tuple[str, str], Part] = {}
    for operation in document["operations"].values():
        channel, action = name_of(operation["channel"]["$ref"]), operation["action"]
        title, about = PARTS.get((channel, action), (f"{channel}: {action}", ""))
        anchor = f"{channel}-{action}"
        address = document["channels"][channel]["address"]
        part = found.setdefault((channel, action), Part(title, anchor, inline(about), address))
        for reference in operation["messages"]:
            part.events.append(_event(document, reference, operation, inline))
    for part in found.values():
        part.events.sort(key=lambda event: event.name)
    known = [key for key in PARTS if key in found]
    return [found[key] for key in (*known, *sorted(found.keys() - set(known)))]


def structures(document: Document, inline: Inline) -> list[Structure]:
    """Return the named schemas that something links to, or that no event shows as its payload."""
    components = document["components"]
    shown, linked = set[str | None](), set(_references(components["schemas"]))
    for operation in document["operations"].values():
        shown |= {named(_message(document, reference)["payload"]) for reference in operation["messages"]}
        for reference in operation["messages"]:
            linked |= set(
                _references([answer["payload"] for answer in _answers(document, operation, reference)])
            )
    linked = {name_of(reference) for reference in linked}
    needed = [name for name in components["schemas"] if name in linked or name not in shown]
    return [_structure(document, name, inline) for name in needed]


def _message(document: Document, reference: Document) -> Document:
    message: Document = document["components"]["messages"][name_of(reference["$ref"])]
    return message


def _event(document: Document, reference: Document, operation: Document, inline: Inline) -> Event:
    message = _message(document, reference)
    answers = _answers(document, operation, reference)
    headers = message.get("headers")
    return Event(
        name=message["name"],
        anchor=name_of(reference["$ref"]),
        deprecated=bool(message.get("deprecated")),
        summary=inline(message.get("summary", "")),
        description=inline(message.get("description", "")),
        payload=_payload(document, message["payload"], inline),
        narrowed=narrowed(message["payload"], inline),
        headers=_described("", headers, inline) if headers else None,
        answers=[_answer(answer, inline) for answer in answers],
        errors=list(_errors(message, operation, answers, inline)),
        examples=list(_examples(message)),
    )


def _payload(document: Document, schema: Document, inline: Inline) -> Structure:
    name = named(schema)
    return _described("", schema, inline) if name is None else _structure(document, name, inline)


def _structure(document: Document, name: str, inline: Inline) -> Structure:
    return _described(name, document["components"]["schemas"][name], inline)


def _described(name: str, schema: Document, inline: Inline) -> Structure:
    return Structure(
        name=name,
        anchor=schema_anchor(name),
        description=inline(schema.get("description", "")),
        rows=list(rows(schema, inline)),
        closed=schema.get("additionalProperties") is False,
    )


def _answers(document: Document, operation: Document, reference: Document) -> list[Document]:
    """Return the messages that acknowledge one: the operation's reply, or else the message's extension."""
    replies = operation.get("reply", {}).get("messages", ())
    if replies:
        return [_message(document, reply) for reply in replies]
    acknowledgement = _message(document, reference).get("x-acknowledgement")
    return [{"payload": acknowledgement}] if acknowledgement else []


def _answer(message: Document, inline: Inline) -> Answer:
    """Return an acknowledgement; what it says of error codes is told by `_errors`."""
    rows_ = [row for row in narrowed(message["payload"], inline) if row.name != "error.code"]
    examples = [] if any(True for _ in _refusals(message)) else list(_examples(message))
    return Answer(kind(message["payload"]), rows_, examples)


def _errors(
    message: Document, operation: Document, answers: Sequence[Document], inline: Inline
) -> Iterator[ErrorCode]:
    """Yield the codes of `x-error-codes`, or else those of the acknowledgements.

    In the extension they may be plain, objects with a `code`, or the keys of an object.
    """
    codes = message.get("x-error-codes", operation.get("x-error-codes"))
    if codes is None:
        codes = [error for answer in answers for error in _refusals(answer)]
    elif isinstance(codes, Mapping):
        codes = [{"code": code, "meaning": meaning} for code, meaning in codes.items()]
    for entry in codes:
        told = entry if isinstance(entry, Mapping) else {"code": entry}
        meaning = str(told.get("meaning") or told.get("message") or "")
        yield ErrorCode(str(told["code"]), told.get("retryable"), inline(meaning))


def _refusals(message: Document) -> Iterator[Document]:
    """Yield the errors of which the message has an example, then the codes without one."""
    payloads = [example.get("payload", {}) for example in message.get("examples", ())]
    shown = {
        payload["error"]["code"]: payload["error"]
        for payload in payloads
        if "code" in payload.get("error", {})
    }
    yield from shown.values()
    for part in message["payload"].get("allOf", ()):
        error = part.get("properties", {}).get("error", {})
        codes = error.get("properties", {}).get("code", {}).get("enum", ())
        yield from ({"code": code} for code in codes if code not in shown)


def _examples(message: Document) -> Iterator[Example]:
    for example in message.get("examples", ()):
        name = example.get("summary", example.get("name", ""))
        yield Example(name, dumps(example.get("payload"), indent=2, ensure_ascii=False))


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
