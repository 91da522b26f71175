"""What the OpenAPI document of a service says beyond what FastAPI finds out: failures, examples, names.

All of it is made from the error classes and the models, so that it cannot say anything else than they do.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from chat_shared.auth import ACCESS_COOKIE, BEARER, COOKIE, SAFE_METHODS, OriginRefused
from chat_shared.contracts.envelope import FieldError, Problem
from chat_shared.contracts.examples import example_of
from chat_shared.error_handlers import PROBLEM_TYPE, problem_of
from chat_shared.errors import (
    BadRequest,
    ChatError,
    ContentTooLarge,
    RateLimited,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)

REFERENCE = "#/components/schemas/{model}"
RETRY_LATER = frozenset({RateLimited.status, Unavailable.status})
EXAMPLE_FIELD = FieldError(field="limit", message="Input should be less than or equal to 100")
WHAT_ANY_ANSWER_MAY_BE = """
Every failure has a body of problem details (RFC 9457) with a stable `code`; `retryable` says whether the
same request may work later. Beside what is listed, any answer may be a 404 `not_found` or a 405
`method_not_allowed` (there is no such path or method), or a 500 `internal_error` (a bug of ours). The proxy
in front of the services answers 400 (an encoded slash and the like in a path), 413, 502, 503 and 504 by
itself, without such a body.
"""
#: What FastAPI documents and we never answer with.
FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")

TOKEN_SCHEMES = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a login",
    },
    COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": ACCESS_COOKIE,
        "description": "The access token, for browsers",
    },
}

Responses = dict[int | str, dict[str, Any]]


def operation_id(route: APIRoute) -> str:
    """Return the stable name of an operation: that of its function, as clients in most languages write it."""
    return to_camel(route.name)


def problem_responses(*failures: type[ChatError]) -> Responses:
    """Return the `responses=` argument of a route with these failures of its own.

    What any route may answer is added by `install_openapi`: a request that is not valid, no valid token,
    a cookie from elsewhere, too large a body, a dependency that is away.
    """
    by_status: dict[int | str, dict[str, Any]] = {}
    for failure in failures:
        by_status.setdefault(failure.status, {}).setdefault(failure.code, _problem_example(failure))
    return {status: _problem_response(status, examples) for status, examples in by_status.items()}


def install_openapi(app: FastAPI) -> None:
    """Have `app.openapi()` return the complete document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(generate())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    document["info"]["description"] += f"\n{WHAT_ANY_ANSWER_MAY_BE}"
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template=REFERENCE, mode="serialization")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in FRAMEWORKS_OWN:
        schemas.pop(unused, None)
    for method, operation in _operations(document):
        _add_cookie(operation.setdefault("security", []), document["components"])
        operation["responses"].pop("422", None)
        _add_problems(operation, problem_responses(*_common_failures(method, operation)))
        _add_examples(method, operation, schemas)
    return document


def _add_cookie(security: list[dict[str, Any]], components: dict[str, Any]) -> None:
    """Say that the cookie does what the header does."""
    if {BEARER: []} not in security:
        return
    if {COOKIE: []} not in security:
        security.insert(security.index({BEARER: []}) + 1, {COOKIE: []})
    components.setdefault("securitySchemes", {}).update(TOKEN_SCHEMES)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document.get("paths", {}).values():
        for method, operation in path.items():
            yield method.upper(), operation


def _common_failures(method: str, operation: Mapping[str, Any]) -> Iterator[type[ChatError]]:
    yield Unavailable
    if operation.get("parameters") or "requestBody" in operation:
        yield ValidationFailed
    if "requestBody" in operation:
        yield from (BadRequest, ContentTooLarge)
    if {BEARER: []} in operation["security"]:
        yield Unauthenticated
        if method not in SAFE_METHODS:
            yield OriginRefused


def _add_problems(operation: dict[str, Any], problems: Responses) -> None:
    responses = operation["responses"]
    examples = {
        int(status): _examples_of(response)
        for status, response in responses.items()
        if PROBLEM_TYPE in response.get("content", {})
    }
    for status, problem in problems.items():
        examples.setdefault(int(status), {}).update(_examples_of(problem))
    for status, of_status in examples.items():
        responses[str(status)] = _problem_response(status, of_status)


def _examples_of(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the examples of a problem by code, whole again: FastAPI takes out what is null."""
    return {
        code: {**example, "value": Problem.model_validate(example["value"]).model_dump(mode="json")}
        for code, example in response["content"][PROBLEM_TYPE]["examples"].items()
    }


def _problem_response(status: int | str, examples: dict[str, Any]) -> dict[str, Any]:
    codes = {"properties": {"code": {"enum": sorted(examples)}}}
    response: dict[str, Any] = {
        "description": f"{HTTPStatus(int(status)).phrase}: {', '.join(sorted(examples))}",
        "content": {
            PROBLEM_TYPE: {
                "schema": {"allOf": [{"$ref": REFERENCE.format(model="Problem")}, codes]},
                "examples": dict(sorted(examples.items())),
            }
        },
    }
    if status in RETRY_LATER:
        seconds = {"schema": {"type": "string", "pattern": "^[0-9]+$"}, "example": "1"}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait", **seconds}}
    return response


def _problem_example(failure: type[ChatError]) -> dict[str, Any]:
    problem = problem_of(failure, "/api/v1/…")
    if issubclass(failure, ValidationFailed):
        problem.errors = [EXAMPLE_FIELD]
    return {"summary": failure.message, "value": problem.model_dump(mode="json")}


def _add_examples(method: str, operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    name = operation["operationId"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["example"] = example_of(content["schema"], schemas, place=f"the body of {name}")
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            if media_type == PROBLEM_TYPE or not media_type.endswith("json"):
                continue
            example = example_of(content["schema"], schemas, place=f"the answer of {name}")
            if "statusCode" in example:
                example = {**example, "statusCode": int(status)}
                if method not in SAFE_METHODS:
                    # Who changes something is told so: it is what the route gives as `message`.
                    example["message"] = response["description"]
            content["example"] = example
