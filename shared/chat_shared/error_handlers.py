"""One place that turns every failure of an HTTP route into problem details."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import ValidationError
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from chat_shared.contracts.envelope import FieldError, Problem
from chat_shared.errors import ChatError, ContentTooLarge, NotFound, Unavailable, ValidationFailed
from chat_shared.logging import get_logger

log = get_logger(__name__)

PROBLEM_TYPE = "application/problem+json"
MAX_FIELD_ERRORS = 20


class MethodNotAllowed(ChatError):
    status = 405
    code = "method_not_allowed"
    message = "This path does not know this method"


def install_error_handlers(app: FastAPI) -> None:
    """Answer every failure with problem details, and none with a trace."""

    @app.exception_handler(ChatError)
    async def chat_error(request: Request, error: ChatError) -> Response:
        return problem_response(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        return problem_response(ValidationFailed(field_errors(error.errors())), request.url.path)

    @app.exception_handler(HTTPException)
    async def http_exception(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods_of(app, request.url.path)))
        return problem_response(_from_http_exception(error), request.url.path, headers)

    @app.exception_handler(PyMongoError)
    @app.exception_handler(RedisError)
    async def dependency_away(request: Request, error: Exception) -> Response:
        log.warning("a dependency failed", error=repr(error)[:300])
        return problem_response(Unavailable(), request.url.path)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected failure", exc_info=error)
        return problem_response(ChatError(), request.url.path)


def problem_response(error: ChatError, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a failure of the request for `path`."""
    problem = problem_of(error, path)
    response_headers = {"cache-control": "no-store", **(headers or {})}
    if error.retry_after is not None:
        response_headers["retry-after"] = str(error.retry_after)
    return Response(problem.model_dump_json(by_alias=True), error.status, response_headers, PROBLEM_TYPE)


def problem_of(error: ChatError | type[ChatError], path: str) -> Problem:
    """Return the problem details of a failure, or of a class of failures, of a request for `path`."""
    return Problem(
        type=f"urn:chat:problem:{error.code}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.message,
        instance=path,
        code=error.code,
        retryable=error.retryable,
        status_code=error.status,
        message=error.message,
        errors=list(error.errors),
    )


def field_errors(errors: Sequence[Any]) -> list[FieldError]:
    """Return what pydantic found as one line a field, without the values that were sent."""
    return [
        FieldError(
            field=".".join(str(part) for part in error["loc"] if part != "body") or "body",
            message=error["msg"],
        )
        for error in errors[:MAX_FIELD_ERRORS]
    ]


def validation_failed(error: ValidationError) -> ValidationFailed:
    """Return our failure for a pydantic one raised outside of FastAPI."""
    return ValidationFailed(
        field_errors(error.errors(include_input=False, include_url=False, include_context=False))
    )


def _methods_of(app: FastAPI, path: str) -> set[str]:
    """Return the methods of all routes at a path; the framework names those of the first one only."""
    return {
        method
        for route in iter_route_contexts(app.routes)
        if route.path is not None and _pattern(route.path).fullmatch(path)
        for method in route.methods or ()
    }


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


def _from_http_exception(error: HTTPException) -> ChatError:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound("There is nothing at this path")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed()
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ContentTooLarge()
    failure = ChatError(str(error.detail))
    failure.status = error.status_code
    failure.code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return failure
