"""What wraps every request of a service: its id and deadline, its log line and metric."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat_shared.error_handlers import problem_response
from chat_shared.errors import ContentTooLarge, Unavailable
from chat_shared.leaving import ROUTABLE_PATH, Leaving
from chat_shared.logging import get_logger
from chat_shared.metrics import HTTP_SECONDS
from chat_shared.request_context import DEADLINE_HEADER, REQUEST_ID_HEADER, set_deadline, set_request_id
from chat_shared.tracing import TRACEPARENT, begin, inside

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = get_logger(__name__)

INTERNAL = "/internal/"
PROBE_PATHS = frozenset({"/healthz", "/readyz", "/metrics", ROUTABLE_PATH})


class PreparationGate:
    """Answers 503 to everything but the probes until the service is prepared."""

    def __init__(self, app: ASGIApp, is_prepared: Callable[[], bool]) -> None:
        self._app = app
        self._is_prepared = is_prepared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["path"] in PROBE_PATHS or self._is_prepared():
            await self._app(scope, receive, send)
        else:
            refusal = problem_response(Unavailable("The service is starting; try again"), scope["path"])
            await refusal(scope, receive, send)


class RequestContextMiddleware:
    """Gives each request its id and deadline, and one log line and one metric when it is done.

    It has to be the outermost layer: the framework's own error and body-limit layers answer without us.
    """

    def __init__(self, app: ASGIApp, leaving: Leaving) -> None:
        self._app = app
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = set_request_id(headers.get(REQUEST_ID_HEADER.encode(), b"").decode("latin-1"))
        set_deadline(headers.get(DEADLINE_HEADER.encode(), b"").decode("latin-1") or None)
        answer = _Answer(scope, receive, send, request_id, is_last=self._leaving.has_begun)
        started = time.perf_counter()
        span = _begin_span(scope, headers)
        with structlog.contextvars.bound_contextvars(request_id=request_id), inside(span):
            try:
                await self._app(scope, receive, answer.send)
            except Exception:
                # The error handler has logged it and answered; above us is only the server's own log.
                if answer.status is None:
                    raise
            finally:
                _record(scope, answer.status or 500, time.perf_counter() - started)
                _describe(span, scope, answer.status or 500)


class _Answer:
    """The response on its way out: gets our headers, and our body where the framework sends plain text."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, *, is_last: bool) -> None:
        """`is_last`: the connection ends with this answer, so that nobody is on it when the process ends."""
        self.status: int | None = None
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = [
            (REQUEST_ID_HEADER.encode(), request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        if is_last:
            self._headers.append((b"connection", b"close"))
        self._replaced = False

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if _is_plain_413(message):
                self._replaced = True
                refusal = problem_response(ContentTooLarge(), self._scope["path"])
                refusal.raw_headers.extend(self._headers)
                await refusal(self._scope, self._receive, self._send)
                return
            message["headers"] = [*message["headers"], *self._headers]
        await self._send(message)


def _is_plain_413(message: Message) -> bool:
    content_type = dict(message["headers"]).get(b"content-type", b"")
    return bool(message["status"] == ContentTooLarge.status and content_type.startswith(b"text/plain"))


def _begin_span(scope: Scope, headers: Mapping[bytes, bytes]) -> "Span | None":
    """Begin the span of a request: part of its caller's, or by chance the first one of a trace.

    Only our own services are believed, which call what has no way in from outside: whoever may say that he
    is traced can have everything traced.
    """
    path = scope["path"]
    if path in PROBE_PATHS:
        return None
    parent = headers.get(TRACEPARENT.encode(), b"").decode("latin-1") if path.startswith(INTERNAL) else ""
    return begin(scope["method"], parent or None)


def _describe(span: "Span | None", scope: Scope, status: int) -> None:
    if span is not None:
        route = getattr(scope.get("route"), "path_format", "")
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.response.status_code", status)


def _record(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path_format", "")
    HTTP_SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
    if scope["path"] not in PROBE_PATHS and not (route.startswith(INTERNAL) and status < 400):
        log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))
