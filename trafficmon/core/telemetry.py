"""Spans as OpenTelemetry's SDK makes them, sent by OTLP over HTTP. Imported only where traces are wanted.

The provider is ours alone, not the process's: libraries that look for one make no spans of their own, which might hold
what ours must not.
"""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Mapping
from contextvars import ContextVar, Token

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trafficmon.core.logging import mask_secrets
from trafficmon.core.tracing import Attribute

PREFIX = "trafficmon."
"""Before each attribute, which is otherwise named as in the logs."""
_W3C = TraceContextTextMapPropagator()
_came_from: ContextVar[str] = ContextVar("came_from", default="")


class Telemetry:
    """Makes spans; the sender's thread starts with the first, so that processes that only start others have none."""

    def __init__(self, variables: Mapping[str, str], *, version: str) -> None:
        # The SDK reads its settings from the process's environment only; some may come from `.env`.
        for name, value in variables.items():
            os.environ.setdefault(name, value)
        if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            os.environ.setdefault("OTEL_SERVICE_NAME", "trafficmon")
        self._version = version
        self._making = threading.Lock()

    @functools.cached_property
    def _provider(self) -> TracerProvider:
        instance = f"{socket.gethostname()}:{os.getpid()}"
        resource = Resource.create({"service.version": self._version, "service.instance.id": instance})
        provider = TracerProvider(resource=resource)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return provider

    @functools.cached_property
    def _tracer(self) -> trace.Tracer:
        with self._making:
            return self._provider.get_tracer("trafficmon", self._version)

    def close(self) -> None:
        """Send what was not sent yet, and end; a process that exits does so by itself."""
        self._provider.shutdown()

    def span(self, name: str, parent: str | None, since: int | None, attributes: Mapping[str, Attribute]) -> _Span:
        return _Span(self._start(name, parent, since, attributes))

    def past(self, name: str, parent: str | None, period: tuple[int, int], attributes: Mapping[str, Attribute]) -> None:
        began, ended = period
        self._start(name, parent, began, attributes).end(ended)

    def _start(
        self, name: str, parent: str | None, since: int | None, attributes: Mapping[str, Attribute]
    ) -> trace.Span:
        context = None if parent is None else _read(parent)
        links = [] if parent is None else _take_links(parent)
        said = _clean(attributes)
        return self._tracer.start_span(name, context, links=links, start_time=since, attributes=said)

    def traceparent(self) -> str:
        return _spell(trace.get_current_span())

    def fields(self) -> dict[str, str]:
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

    def come_from(self, traceparent: str) -> None:
        _came_from.set(traceparent)


class _Span:
    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> _Span:
        self._token = attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            # Its words may hold anything: the log has them, masked.
            self.note(outcome=str(getattr(error, "reason", "") or type(error).__name__))
            self._span.set_status(trace.StatusCode.ERROR, type(error).__name__)
        if self._token is not None:
            detach(self._token)
        self._span.end()

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(_clean(attributes))

    def traceparent(self) -> str:
        return _spell(self._span)


def _clean(attributes: Mapping[str, Attribute]) -> dict[str, str | int | float | bool]:
    """Those that are known, without secrets, should one have come here after all."""
    known = {name: value for name, value in attributes.items() if value is not None}
    return {
        PREFIX + name: mask_secrets(str(value)) if isinstance(value, str) else value for name, value in known.items()
    }


def _spell(span: trace.Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent", "")


def _read(traceparent: str) -> Context:
    """The context that it names; an empty one, in which a trace begins, where it names none."""
    return _W3C.extract({"traceparent": traceparent}, Context())


def _take_links(parent: str) -> list[trace.Link]:
    came_from = _came_from.get()
    if not came_from:
        return []
    _came_from.set("")
    context = trace.get_current_span(_read(came_from)).get_span_context()
    return [trace.Link(context)] if context.is_valid and came_from != parent else []
