"""Holds every REST answer that a test sees against the OpenAPI document of the service that owns the path."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import httpx2
import jsonschema_rs
import orjson

from chat_shared.testing.documents import openapi_documents, strict_validator

#: Where documented paths live; probes and what services ask each other is documented nowhere.
PUBLIC = re.compile(r"/(api|media|\.well-known)/")
#: What the proxy answers by itself, in plain text.
PROXY_STATUSES = frozenset({400, 413, 502, 503, 504})
NO_SUCH_ROUTE = {404: "not_found", 405: "method_not_allowed"}
PROBLEM = "application/problem+json"
#: Of refusals that the proxy words itself, and of pages for people.
WITHOUT_CODE = frozenset({"text/plain", "text/html"})
#: Answers that never have a body; nor has one to HEAD.
EMPTY_STATUSES = frozenset({204, 304})
ANY_TYPE = "*/*"


class Operation(NamedTuple):
    """One method of one documented path."""

    service: str
    name: str
    responses: Mapping[str, Any]


def check_answer(response: httpx2.Response, body: bytes) -> None:
    """Raise unless an answer is one that its operation is documented to give.

    An unknown path or method has to be refused as such, so tests may ask for them.

    Raises:
        AssertionError: says which request got what, and what is wrong with it.
    """
    request = response.request
    path = request.url.path
    if not PUBLIC.match(path) or _is_of_the_proxy(response):
        return
    operation = _operation(request.method, path)
    wrong = _unknown_route(response, body) if operation is None else _violation(operation, response, body)
    if wrong:
        name = operation.name if operation else "no documented operation"
        text = f"{request.method} {path} ({name}) answered {response.status_code} {body[:300]!r}: {wrong}"
        raise AssertionError(f"against the contract: {text}")


def _is_of_the_proxy(response: httpx2.Response) -> bool:
    return response.status_code in PROXY_STATUSES and _media_type(response) in ("", "text/plain")


def _unknown_route(response: httpx2.Response, body: bytes) -> str | None:
    code = NO_SUCH_ROUTE.get(response.status_code)
    if code is None:
        return "this path or method is not documented"
    media_type = _media_type(response)
    if _has_to_be_empty(response) or media_type in WITHOUT_CODE:
        return None
    if media_type != PROBLEM or not body:
        return "this is not how a path or method is refused"
    return None if orjson.loads(body)["code"] == code else f"the code should be {code}"


def _has_to_be_empty(response: httpx2.Response) -> bool:
    return response.request.method == "HEAD" or response.status_code in EMPTY_STATUSES


def _violation(operation: Operation, response: httpx2.Response, body: bytes) -> str | None:
    documented = operation.responses.get(str(response.status_code))
    if documented is None:
        return "this status is not documented"
    content = documented.get("content", {})
    if _has_to_be_empty(response) or not content or ANY_TYPE in content:
        return None
    if not body:
        return "a body is documented"
    media_type = _media_type(response)
    if media_type not in content:
        return f"the content type {media_type} is not documented"
    try:
        answer = orjson.loads(body)
        _validator(operation.service, operation.name, response.status_code, media_type).validate(answer)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        return str(error)
    example = content[media_type].get("example", answer)
    return None if answer.get("message") == example.get("message") else "the example says another message"


def _media_type(response: httpx2.Response) -> str:
    media_type: str = response.headers.get("content-type", "").partition(";")[0]
    return media_type


def _operation(method: str, path: str) -> Operation | None:
    """Return what is asked for; a path may end with a slash, and HEAD is answered as GET."""
    wanted = "get" if method == "HEAD" else method.lower()
    for pattern, operations in _paths():
        if pattern.fullmatch(path):
            return operations.get(wanted)
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Operation]]]:
    """Return all documented paths, those without parameters first, as routers look for them."""
    paths = sorted(_documented_paths(), key=lambda item: (item[0].count("{"), item[0]))
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "/?"), operations)
        for path, operations in paths
    ]


def _documented_paths() -> Iterator[tuple[str, dict[str, Operation]]]:
    for service, document in openapi_documents().items():
        for path, methods in document["paths"].items():
            yield (
                path,
                {
                    method: Operation(service, operation["operationId"], operation["responses"])
                    for method, operation in methods.items()
                },
            )


@cache
def _validator(
    service: str, operation: str, status: int, media_type: str
) -> jsonschema_rs.Draft202012Validator:
    document = openapi_documents()[service]
    for methods in document["paths"].values():
        for described in methods.values():
            if described["operationId"] == operation:
                schema = described["responses"][str(status)]["content"][media_type]["schema"]
                return strict_validator(schema, document)
    raise LookupError(operation)
