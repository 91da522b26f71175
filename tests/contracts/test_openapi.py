"""Every operation says what a client needs to know, in all documents, and its examples are what it says."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import chat_auth.errors
import chat_media.errors
import jsonschema_rs
import pytest
from chat_shared.errors import ChatError

DOCUMENTS = sorted((Path(__file__).parents[2] / "shared/contracts/openapi").glob("*.json"))
PROBLEM = "application/problem+json"
SENTENCE_CASE = re.compile(r"[A-Z][a-z]*( [a-z]+,?)*")
CAMEL_CASE = re.compile(r"[a-z]+([A-Z][a-z]+)*")
#: What works without a token outside of the body; all else wants one.
PUBLIC = {
    "getPublicKeys",
    "getEnvironment",
    "logIn",
    "register",
    "listPublicRooms",
    "downloadMedia",
    "refreshTokens",
    "logOut",
}


class Operation(NamedTuple):
    """One method of one path."""

    document: dict[str, Any]
    says: dict[str, Any]

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        """Raise unless the value is what a schema of the document describes."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(value)


def operations() -> Iterator[Operation]:
    for path in DOCUMENTS:
        document = json.loads(path.read_text())
        for methods in document["paths"].values():
            yield from (Operation(document, operation) for operation in methods.values())


ALL = list(operations())
each_operation = pytest.mark.parametrize("operation", ALL, ids=[op.says["operationId"] for op in ALL])


def test_there_is_a_document_of_each_service() -> None:
    assert [path.stem for path in DOCUMENTS] == ["auth", "gateway-ws", "media", "messaging", "rooms"]


def test_operation_ids_are_unique_and_in_camel_case() -> None:
    counts = Counter(operation.says["operationId"] for operation in ALL)
    assert [name for name, count in counts.items() if count > 1] == []
    assert [name for name in counts if not CAMEL_CASE.fullmatch(name)] == []


@each_operation
def test_an_operation_is_explained(operation: Operation) -> None:
    assert SENTENCE_CASE.fullmatch(operation.says["summary"])
    assert operation.says["description"].endswith(".")
    assert operation.says["tags"]
    for parameter in operation.says.get("parameters", ()):
        assert parameter["description"], parameter["name"]


@each_operation
def test_it_is_clear_who_may_call(operation: Operation) -> None:
    security = operation.says["security"]
    assert (not security or {} in security) == (operation.says["operationId"] in PUBLIC)
    schemes = operation.document["components"].get("securitySchemes", {})
    assert {name for choice in security for name in choice} <= schemes.keys()


@each_operation
def test_bodies_have_examples_that_are_valid(operation: Operation) -> None:
    for content in operation.says.get("requestBody", {}).get("content", {}).values():
        operation.check(content["example"], content["schema"])
    successes = {status: answer for status, answer in operation.says["responses"].items() if status < "400"}
    assert successes
    for status, answer in successes.items():
        assert answer["description"] != "Successful Response"
        for media_type, content in answer.get("content", {}).items():
            if not media_type.endswith("json"):
                continue
            operation.check(content["example"], content["schema"])
            assert content["example"].get("statusCode", int(status)) == int(status)


@each_operation
def test_each_failure_names_its_codes_with_an_example_of_each(operation: Operation) -> None:
    failures = {status: answer for status, answer in operation.says["responses"].items() if status >= "400"}
    assert "503" in failures
    for status, answer in failures.items():
        content = answer["content"][PROBLEM]
        [_, codes] = content["schema"]["allOf"]
        assert codes["properties"]["code"]["enum"] == list(content["examples"])
        for code, example in content["examples"].items():
            operation.check(example["value"], content["schema"])
            assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))


@pytest.mark.parametrize("name", ["UnsupportedImage", "ImageBroken", "ImageTooLarge"])
def test_auth_documents_what_media_says_about_an_avatar(name: str) -> None:
    own: type[ChatError] = getattr(chat_auth.errors, name)
    medias: type[ChatError] = getattr(chat_media.errors, name)
    assert (own.status, own.code, own.message) == (medias.status, medias.code, medias.message)
