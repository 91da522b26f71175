"""What the tests hold answers and events against: each way to break a contract is seen."""

import copy
import json
from typing import Any

import httpx2
import pytest
from chat_shared.error_handlers import problem_of
from chat_shared.errors import ChatError, Forbidden, NotFound, Unavailable
from chat_shared.testing.documents import asyncapi_document, openapi_documents
from chat_shared.testing.event_contract import (
    check_acknowledgement,
    check_event,
    check_frame,
    take_violations,
)
from chat_shared.testing.rest_contract import check_answer

ROOM = "/api/v1/room/665f1c2ab7e0a1f2d3c4b5a6"
JSON, PROBLEM = "application/json", "application/problem+json"
Change = tuple[str, Any]


def example_of_a_room() -> dict[str, Any]:
    operation = openapi_documents()["rooms"]["paths"]["/api/v1/room/{room_id}"]["get"]
    body: dict[str, Any] = copy.deepcopy(operation["responses"]["200"]["content"][JSON]["example"])
    return body


def check(
    body: object, status: int = 200, *, method: str = "GET", path: str = ROOM, media_type: str = JSON
) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": media_type} if media_type else {}
    request = httpx2.Request(method, f"http://chat{path}")
    check_answer(httpx2.Response(status, headers=headers, content=content, request=request), content)


def problem(failure: type[ChatError], code: str | None = None) -> dict[str, Any]:
    body = problem_of(failure, ROOM).model_dump(mode="json")
    return {**body, "code": code} if code else body


@pytest.mark.parametrize("path", [ROOM, f"{ROOM}/"])
def test_a_documented_answer_is_fine(path: str) -> None:
    check(example_of_a_room(), path=path)
    check(problem(NotFound, "room_not_found"), 404, path=path, media_type=PROBLEM)
    check(None, path=path, method="HEAD")


def test_a_field_too_many_or_of_another_type_is_not() -> None:
    for changes in ({"color": "red"}, {"memberCount": "3"}, {"createdAt": "yesterday"}):
        body = example_of_a_room()
        body["data"].update(changes)
        with pytest.raises(AssertionError, match="getRoom"):
            check(body)


def test_a_missing_field_is_not() -> None:
    body = example_of_a_room()
    del body["data"]["unread"]
    with pytest.raises(AssertionError, match="against the contract"):
        check(body)


def test_a_message_that_the_example_does_not_show_is_not() -> None:
    with pytest.raises(AssertionError, match="message"):
        check({**example_of_a_room(), "message": "Here it is"})


@pytest.mark.parametrize(
    ("failure", "code"), [(NotFound, "not_found"), (Forbidden, "forbidden"), (ChatError, "internal_error")]
)
def test_a_status_or_code_that_is_not_documented_is_not(failure: type[ChatError], code: str) -> None:
    with pytest.raises(AssertionError, match="against the contract"):
        check(problem(failure, code), failure.status, media_type=PROBLEM)


def test_a_content_type_that_is_not_documented_is_not() -> None:
    with pytest.raises(AssertionError, match="content type text/html"):
        check(example_of_a_room(), media_type="text/html")


@pytest.mark.parametrize("status", [200, 404])
def test_no_body_where_one_is_documented_is_not(status: int) -> None:
    with pytest.raises(AssertionError, match="a body is documented"):
        check(None, status)


@pytest.mark.parametrize(
    ("body", "media_type"), [(None, ""), (None, PROBLEM), ({"detail": "Not Found"}, JSON)]
)
def test_unknown_paths_are_refused_with_a_code(body: object, media_type: str) -> None:
    for status in (404, 405):
        with pytest.raises(AssertionError, match="this is not how"):
            check(body, status, path="/api/v1/nothing", media_type=media_type)
        check(None, status, path="/api/v1/nothing", method="HEAD", media_type=media_type)
        check("404 page not found", status, path="/api/v1/nothing", media_type="text/plain")


def test_unknown_paths_and_methods_have_to_be_refused() -> None:
    check(problem(NotFound), 404, path="/api/v1/nothing", media_type=PROBLEM)
    check({**problem(ChatError, "method_not_allowed")}, 405, method="PUT", media_type=PROBLEM)
    with pytest.raises(AssertionError, match="not documented"):
        check({}, path="/api/v1/nothing")
    with pytest.raises(AssertionError, match="should be not_found"):
        check(problem(NotFound, "room_not_found"), 404, path="/api/v1/nothing", media_type=PROBLEM)


def test_the_proxy_and_what_is_not_public_are_left_alone() -> None:
    check(None, 502, media_type="text/plain")
    check({"anything": True}, path="/internal/v1/heads")
    with pytest.raises(AssertionError):
        check(problem(Unavailable, "no_such_code"), 503, media_type=PROBLEM)


def example(message: str) -> dict[str, Any]:
    payload: dict[str, Any] = copy.deepcopy(
        asyncapi_document()["components"]["messages"][message]["examples"][0]["payload"]
    )
    return payload


def test_documented_events_and_acknowledgements_are_fine() -> None:
    check_event("new-message", example("server_new_message"))
    check_event("message-history", example("server_message_history"))
    check_acknowledgement("send-message", example("ack_send_message"))
    check_acknowledgement("join_room", example("refusal_join_room"))
    check_frame(f'42["heads",{json.dumps(example("server_heads"))}]')
    check_frame(f"437[{json.dumps(example('ack_typing'))}]", {7: "typing"})
    check_frame("0{}")
    unknown = {"code": "unknown_event", "message": "There is no such event", "retryable": False}
    check_acknowledgement("dance", {"ok": False, "error": unknown})
    assert take_violations() == []


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("made-up", {}),
        ("new-message", {}),
        ("room-deleted", {"roomId": "665f1c2ab7e0a1f2d3c4b5a6", "why": "no field of this"}),
        ("error", {"code": "no_such_code", "message": "-"}),
    ],
)
def test_any_other_event_is_noted(event: str, payload: dict[str, Any]) -> None:
    check_event(event, payload)
    [violation] = take_violations()
    assert event in violation


def test_any_other_acknowledgement_is_noted() -> None:
    check_acknowledgement("typing", {"ok": True, "seq": 1})
    check_acknowledgement("dance", {"ok": True})
    error = {"code": "idempotency_conflict", "message": "-", "retryable": False}
    check_acknowledgement("typing", {"ok": False, "error": error})
    assert len(take_violations()) == 3
