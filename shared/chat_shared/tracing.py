"""Traces: of HTTP requests, and of messages from the socket that sent them to the last gateway.

Off unless the address of a collector is set, and next to free then. What travels is the `traceparent` of W3C
Trace Context, as a header over HTTP, as a field elsewhere: messages of many senders share a request, a Redis
message and an event, so that their contexts have to go with each.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from chat_shared.settings import ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

TRACEPARENT: Final = "traceparent"
EXPORT_SECONDS = 2.0
"""How long a span waits to leave with others."""

FLUSH_SECONDS = 3.0

_tracer: "Tracer | None" = None
_provider: "TracerProvider | None" = None


def configure_tracing(settings: ServiceSettings) -> None:
    """Send spans to the collector that the settings name; without one, nothing is traced."""
    if not settings.otlp_url:
        return
    # Only here: who does not trace does not pay for what it imports.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    resource = Resource.create(
        {"service.name": f"chat-{settings.service}", "service.instance.id": settings.instance}
    )
    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(settings.trace_ratio))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_url.rstrip('/')}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, schedule_delay_millis=int(EXPORT_SECONDS * 1000))
    )
    # Not for all of the process: libraries that find one trace what they do themselves.
    global _tracer, _provider
    _tracer, _provider = provider.get_tracer("chat"), provider


async def flush_traces() -> None:
    """Send what was not sent yet; a signal ends the process before the library does so by itself."""
    if _provider is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_SECONDS):
            await asyncio.to_thread(_provider.force_flush, int(FLUSH_SECONDS * 1000))


def begin(name: str, parent: str | None = None, **attributes: str | int) -> "Span | None":
    """Begin a span, which its caller has to end; None where nothing is traced.

    Args:
        name: what is done.
        parent: the `traceparent` of what it is a part of; without one, and outside of `inside`, it is the
            first of a trace, if its turn comes.
    """
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if parent else None
    span = _tracer.start_span(name, context, attributes=attributes)
    return span if span.is_recording() else None


def traceparent(span: "Span | None") -> str | None:
    """Return what makes others' spans a part of this one."""
    if span is None:
        return None
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def end(span: "Span | None", **attributes: str | int) -> None:
    """End a span, with what became of it."""
    if span is not None:
        span.set_attributes(attributes)
        span.end()


@contextmanager
def inside(span: "Span | None") -> Iterator[None]:
    """Make spans that begin here, in this task, part of `span`; end it afterwards."""
    if span is None:
        yield
        return
    from opentelemetry.trace import use_span

    with use_span(span, end_on_exit=True):
        yield


def current_traceparent() -> str | None:
    """Return the `traceparent` of the span that the work at hand is a part of."""
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    span = get_current_span()
    return traceparent(span) if span.is_recording() else None
