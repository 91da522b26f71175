"""The AsyncAPI document is one, and says of each event and acknowledgement what it looks like."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from chat_shared.testing.documents import asyncapi_document, strict_validator

SCHEMA = Path(__file__).parent / "js/node_modules/@asyncapi/specs/schemas/3.0.0.json"
DOCUMENT = asyncapi_document()
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]


def test_it_is_asyncapi_3() -> None:
    validator = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [str(error) for error in validator.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_explained_by_examples_that_are_valid(name: str) -> None:
    message = MESSAGES[name]
    assert message["summary"]
    assert message["examples"]
    validator = strict_validator(message["payload"], DOCUMENT)
    for example in message["examples"]:
        validator.validate(example["payload"])


def test_each_event_of_a_client_has_an_answer_for_success_and_for_failure() -> None:
    received = {name: says for name, says in DOCUMENT["operations"].items() if says["action"] == "receive"}
    assert len(received) == 5
    for name, says in received.items():
        event = name.removeprefix("receive_client_")
        assert [ref["$ref"].rpartition("/")[2] for ref in says["reply"]["messages"]] == [
            f"ack_{event}",
            f"refusal_{event}",
        ]
        assert "validation_failed" in [
            example["name"] for example in MESSAGES[f"refusal_{event}"]["examples"]
        ]


def test_messages_on_the_bus_have_headers() -> None:
    on_the_bus = DOCUMENT["channels"]["bus"]["messages"]
    assert on_the_bus
    assert [name for name in on_the_bus if not MESSAGES[name].get("headers", {}).get("required")] == []
