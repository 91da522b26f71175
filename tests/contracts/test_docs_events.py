"""The page of events says what the AsyncAPI document says, and takes no HTML from it."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from docs_site.events import Event, parts, structures
from docs_site.markdown import Markdown
from docs_site.schema import kind, rows
from docs_site.site import site_files
from html_elements import elements

INLINE = Markdown({}).inline
EVIL = '"><script>alert(1)</script><img src=x onerror=y>'


def _document(message: dict[str, Any], operation: dict[str, Any] | None = None) -> dict[str, Any]:
    schemas = {
        "Ping": {"type": "object", "properties": {"n": {"$ref": "#/components/schemas/Number"}}},
        "Number": {"type": "object", "description": "A number", "properties": {"v": {"type": "integer"}}},
        "Done": {"type": "object", "properties": {"ok": {"const": True}}},
    }
    payload = {"$ref": "#/components/schemas/Ping"}
    return {
        "info": {"title": "Events", "description": "All events"},
        "channels": {"socket": {"address": "/socket.io"}},
        "operations": {
            "receive_ping": {
                "action": "receive",
                "channel": {"$ref": "#/channels/socket"},
                "messages": [{"$ref": "#/channels/socket/messages/client_ping"}],
                **(operation or {}),
            }
        },
        "components": {
            "messages": {
                "client_ping": {"name": "ping", "payload": payload, **message},
                "done": {"name": "done", "payload": {"$ref": "#/components/schemas/Done"}},
            },
            "schemas": schemas,
        },
    }


def _event(message: dict[str, Any], operation: dict[str, Any] | None = None) -> Event:
    (part,) = parts(_document(message, operation), INLINE)
    (event,) = part.events
    return event


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null"),
        ({"const": True, "type": "boolean"}, "<code>true</code>"),
        ({"enum": ["a", "<b>"]}, "<code>&#34;a&#34;</code> or <code>&#34;&lt;b&gt;&#34;</code>"),
        ({"type": "array", "items": {"type": "string"}}, "array of string"),
        ({"$ref": "#/components/schemas/Room"}, '<a href="#schema-Room">Room</a>'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object: each value is integer"),
        (
            {"type": "object", "patternProperties": {"^a$": {"type": "integer"}}},
            "object: each value is integer",
        ),
        ({"type": "object", "additionalProperties": True}, "object: each value is any value"),
        ({"type": "object", "additionalProperties": False}, "object"),
        ({}, "any value"),
    ],
)
def test_types_in_words(schema: dict[str, Any], words: str) -> None:
    assert kind(schema) == words


@pytest.mark.parametrize(
    ("schema", "limits"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 9}, ["length ≥ 1", "length ≤ 9"]),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 5}, ["≥ 0", "&lt; 5"]),
        ({"type": "string", "pattern": "^<a>$"}, ["matches <code>^&lt;a&gt;$</code>"]),
        ({"type": "array", "maxItems": 2, "items": {"maxLength": 3}}, ["items ≤ 2", "each length ≤ 3"]),
        (
            {"anyOf": [{"maxLength": 4}, {"type": "null"}], "default": None},
            ["length ≤ 4", "default <code>null</code>"],
        ),
        ({"const": True, "default": True}, []),
        ({"type": "array", "items": {"default": "a"}}, []),
        ({"type": "array", "uniqueItems": False}, []),
        ({"patternProperties": {"^a$": {}}}, ["each key matches <code>^a$</code>"]),
    ],
)
def test_limits_in_words(schema: dict[str, Any], limits: list[str]) -> None:
    (row,) = rows({"properties": {"x": schema}}, INLINE)
    assert row.limits == limits


def test_properties_of_objects_without_a_name_have_rows_of_their_own() -> None:
    inner = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    schema = {"required": ["a"], "properties": {"a": inner, "list": {"type": "array", "items": inner}}}
    assert [(row.name, row.required) for row in rows(schema, INLINE)] == [
        ("a", True),
        ("a.b", True),
        ("list", False),
        ("list[].b", True),
    ]


@pytest.mark.parametrize(
    ("message", "operation"),
    [
        ({"x-acknowledgement": {"$ref": "#/components/schemas/Done"}}, {}),
        ({}, {"reply": {"messages": [{"$ref": "#/channels/socket/messages/done"}]}}),
    ],
)
def test_the_acknowledgement_is_a_reply_or_an_extension(
    message: dict[str, Any], operation: dict[str, Any]
) -> None:
    (answer,) = _event(message, operation).answers
    assert answer.kind == '<a href="#schema-Done">Done</a>'


def test_an_event_without_an_answer_has_no_acknowledgement() -> None:
    assert _event({}).answers == []


@pytest.mark.parametrize(
    ("codes", "retryable", "meaning"),
    [
        (["busy"], None, ""),
        ({"busy": "too much waits"}, None, "too much waits"),
        ([{"code": "busy", "retryable": True, "meaning": "too much waits"}], True, "too much waits"),
        ([{"code": "busy", "retryable": False}], False, ""),
    ],
)
def test_error_codes_of_the_extension(codes: Any, retryable: bool | None, meaning: str) -> None:
    (error,) = _event({"x-error-codes": codes}).errors
    assert (error.code, error.retryable, error.meaning) == ("busy", retryable, meaning)


def _narrowed(**properties: Any) -> dict[str, Any]:
    return {"allOf": [{"$ref": "#/components/schemas/Done"}, {"properties": properties}]}


def test_error_codes_of_a_refusal_come_with_their_examples() -> None:
    refusal = {
        "payload": _narrowed(error={"properties": {"code": {"enum": ["busy", "unknown"]}}}),
        "examples": [{"payload": {"error": {"code": "busy", "message": "Too much", "retryable": True}}}],
    }
    document = _document({}, {"reply": {"messages": [{"$ref": "#/channels/socket/messages/done"}]}})
    document["components"]["messages"]["done"] |= refusal
    (event,) = parts(document, INLINE)[0].events
    assert [(e.code, e.retryable, e.meaning) for e in event.errors] == [
        ("busy", True, "Too much"),
        ("unknown", None, ""),
    ]
    assert (event.answers[0].narrowed, event.answers[0].examples) == ([], [])


def test_what_narrows_a_payload_stands_below_its_table() -> None:
    rooms = {"items": {"properties": {"code": {"enum": ["a"]}}}}
    event = _event({"payload": _narrowed(rooms=rooms)})
    assert (event.payload.name, [row.name for row in event.payload.rows]) == ("Done", ["ok"])
    assert [(row.name, row.kind) for row in event.narrowed] == [("rooms[].code", "<code>&#34;a&#34;</code>")]


def test_what_narrows_an_answer_is_no_type_of_its_own() -> None:
    assert kind(_narrowed(a={"enum": [1]})) == '<a href="#schema-Done">Done</a>'


def test_headers_have_a_table() -> None:
    headers = _event({"headers": {"required": ["id"], "properties": {"id": {"type": "string"}}}}).headers
    assert headers is not None
    assert [(row.name, row.required) for row in headers.rows] == [("id", True)]


def test_examples_are_shown_as_they_are_sent() -> None:
    (example,) = _event({"examples": [{"summary": "First", "payload": {"n": "ä"}}]}).examples
    assert (example.name, example.payload) == ("First", '{\n  "n": "ä"\n}')


def test_directions_are_told_from_the_side_of_the_client() -> None:
    assert [part.title for part in parts(_document({}), INLINE)] == ["What you send"]


def test_types_are_what_is_linked_or_no_payload() -> None:
    assert [structure.name for structure in structures(_document({}), INLINE)] == ["Number", "Done"]


def test_an_event_that_also_answers_another_one_is_among_the_types() -> None:
    document = _document({"x-acknowledgement": {"$ref": "#/components/schemas/Ping"}})
    assert "Ping" in [structure.name for structure in structures(document, INLINE)]


def test_a_reference_to_nothing_is_an_error() -> None:
    with pytest.raises(KeyError):
        _event({"payload": {"$ref": "#/components/schemas/Missing"}})


def test_contracts_cannot_bring_html() -> None:
    limits = {"default": EVIL, "pattern": EVIL, "format": EVIL}
    schema = {
        "description": EVIL,
        "required": [EVIL],
        "properties": {EVIL: {"enum": [EVIL], "description": EVIL, **limits}, "typed": {"type": EVIL}},
    }
    document = _document(
        {
            "name": EVIL,
            "summary": EVIL,
            "description": EVIL,
            "payload": schema,
            "examples": [{"summary": EVIL, "payload": {EVIL: EVIL}}],
            "x-error-codes": [{"code": EVIL, "meaning": EVIL}],
            "headers": schema,
            "x-acknowledgement": {"$ref": f"#/components/schemas/{EVIL.replace('/', '')}"},
        }
    )
    document["info"]["description"] = EVIL
    document["channels"]["socket"]["address"] = EVIL
    document["components"]["schemas"][EVIL] = schema
    sources = {"shared/contracts/asyncapi.yaml": yaml.safe_dump(document), "docs/socket-protocol.md": "# P"}
    page = next(text for path, text in site_files(sources).items() if path.endswith("events.html"))
    assert page.count("alert(1)") > 10
    assert "onerror" not in set(_attributes(page))
    assert [element.attributes for element in elements(page) if element.tag == "script"] == [
        {"src": "/assets/docs/pages.js"}
    ]
    assert not [element for element in elements(page) if element.tag == "img"]


def _attributes(page: str) -> Iterator[str]:
    for element in elements(page):
        yield from element.attributes
