"""Traces: what happened to one frame, from capture to the browser, as spans of one trace in OpenTelemetry's terms.

Off unless OTEL_* variables say where to send them; then nothing of OpenTelemetry is imported, and `span` costs a call.
Where work is picked up in another process, its context comes along as a W3C `traceparent`: see
docs/decisions/0025-tracing.md.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

Attribute: TypeAlias = str | int | float | bool | None

PACKAGES = "requirements/tracing.txt"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")


class UnableToTrace(Exception):
    """Traces are asked for and cannot be made; the message says what to do."""


class Span(Protocol):
    """One step of a frame's way, as long as its `with` block."""

    def __enter__(self) -> Span: ...
    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Literal[False] | None: ...

    def note(self, **attributes: Attribute) -> None:
        """What came of it. Never an address with a password, a key, or a picture."""

    def traceparent(self) -> str:
        """By which what follows from it elsewhere continues the trace; "" where nothing is traced."""


class Tracer(Protocol):
    """What makes spans where they are made."""

    def span(self, name: str, parent: str | None, since: int | None, attributes: Mapping[str, Attribute]) -> Span: ...
    def past(self, name: str, parent: str | None, period: tuple[int, int], attributes: Mapping[str, Attribute]) -> None:
        """A span that is over."""

    def traceparent(self) -> str: ...
    def fields(self) -> dict[str, str]: ...
    def come_from(self, traceparent: str) -> None: ...


class _NoSpan:
    __slots__ = ()

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, **_: Attribute) -> None:
        pass

    def traceparent(self) -> str:
        return ""


_NOTHING = _NoSpan()
_tracer: Tracer | None = None


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Whether the OTEL_* `variables` ask for traces; raises UnableToTrace where they ask for what there is not."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = variables.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter not in {"", "otlp", "none"}:
        raise UnableToTrace("OTEL_TRACES_EXPORTER: traces are sent by OTLP only: say otlp, or none to send nothing.")
    if exporter == "none" or not (exporter or any(variables.get(name) for name in _ENDPOINTS)):
        return False
    _check_possible(variables)
    return True


def _check_possible(variables: Mapping[str, str]) -> None:
    """Raise UnableToTrace where traces cannot be sent as they are wanted."""
    for name in _PROTOCOLS:
        if variables.get(name) not in {None, "", "http/protobuf"}:
            message = f"{name}: traces are sent by http/protobuf only: say that, and name the collector's port for it."
            raise UnableToTrace(message)
    if not _is_installed():
        message = (
            "The OTEL_* variables ask for traces, but what sends them is not installed: "
            f"pip install -r {PACKAGES}, or set OTEL_TRACES_EXPORTER=none."
        )
        raise UnableToTrace(message)


def turn_on(variables: Mapping[str, str], *, version: str) -> None:
    """Have spans made and sent from now on, as the OTEL_* `variables` say, which `is_wanted` has found right."""
    from trafficmon.core.telemetry import Telemetry

    use(Telemetry(variables, version=version))


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        return False


def use(tracer: Tracer | None) -> None:
    """Have `tracer` make the spans from now on; None: make none."""
    global _tracer  # noqa: PLW0603  # a process traces or it does not
    _tracer = tracer


def turn_off() -> None:
    """Make no spans any more."""
    use(None)


def is_on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def span(name: str, *, parent: str | None = None, since: int | None = None, **attributes: Attribute) -> Span:
    """A step that lasts as long as the `with` block it is used in, within the step that this thread is at.

    `parent` is the `traceparent` of work that was begun elsewhere ("": of none, it begins a trace). It has begun at
    `since` (see `now`) where that is earlier.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, parent, since, attributes)


def past(
    name: str, *, since: int, until: int | None = None, parent: str | None = None, **attributes: Attribute
) -> None:
    """A step that is over, whose bounds are known only now."""
    if _tracer is not None:
        _tracer.past(name, parent, (since, now() if until is None else until), attributes)


def now() -> int:
    """The moment, as spans count time: nanoseconds since 1970."""
    return time.time_ns()


def traceparent() -> str:
    """By which work elsewhere continues the step that this thread is at; "" where nothing is traced."""
    return "" if _tracer is None else _tracer.traceparent()


def come_from(traceparent: str) -> None:
    """What this thread does next was caused by that step, too: the next span with a parent is linked with it."""
    if _tracer is not None:
        _tracer.come_from(traceparent)


def fields() -> dict[str, str]:
    """What a log's event says of the step that this thread is at; nothing where nothing is traced."""
    return {} if _tracer is None else _tracer.fields()
