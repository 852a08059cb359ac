"""Traces: off they are nothing at all; on, spans go where OTEL_* says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.collector import Collector, collecting
from trafficmon.core import tracing
from trafficmon.core.telemetry import Telemetry

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FOREIGN = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "trafficmon")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.address)
        yield made
        tracing.turn_off()


def turn_on() -> Telemetry:
    made = Telemetry({}, version="1")
    tracing.use(made)
    return made


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SERVICE_NAME": "roads"}, False),
    ],
)
def test_traces_are_wanted_where_the_standard_variables_name_a_collector(
    variables: dict[str, str], wanted: bool
) -> None:
    assert tracing.is_wanted(variables) is wanted


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_traces_cannot_be_sent_by_is_refused_by_name(variables: dict[str, str]) -> None:
    with pytest.raises(tracing.UnableToTrace, match=list(variables)[-1]):
        tracing.is_wanted(variables)


def test_where_the_sender_is_not_installed_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "_EXPORTER", "opentelemetry.exporter.that_nobody_installed")
    with pytest.raises(tracing.UnableToTrace, match=r"pip install -r requirements/tracing\.txt"):
        tracing.is_wanted({"OTEL_TRACES_EXPORTER": "otlp"})
    assert not tracing.is_on()


def test_what_makes_and_sends_spans_is_not_loaded_where_no_traces_are_wanted() -> None:
    look = (
        "import django, sys; django.setup(); import workers.tasks, workers.capturing, trafficmon.live.consumers;"
        "print(sorted({'trafficmon.core.telemetry', 'opentelemetry.sdk.trace', "
        "'google.protobuf', 'opentelemetry.exporter.otlp.proto.http'} & sys.modules.keys()))"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    said = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_off_a_span_is_the_same_nothing_each_time() -> None:
    with tracing.span("capture.sample", parent="", camera_id=1) as span:
        span.note(outcome="kept")
        assert (tracing.traceparent(), span.traceparent(), tracing.fields()) == ("", "", {})
    assert tracing.span("assess") is tracing.span("detect")


def test_span_continues_the_trace_of_its_parent_and_links_with_what_woke_it(collector: Collector) -> None:
    telemetry = turn_on()
    tracing.come_from(FOREIGN)
    with tracing.span("assess", parent=PARENT, assessment_id=7, since=1) as outer:
        tracing.past("assess.claim", since=1, until=2)
        with tracing.span("assess.call", model="qwen-vl-plus", key_id=None):
            assert tracing.fields()["trace_id"] == PARENT.split("-")[1]
        with tracing.span("assess", parent=PARENT):
            pass  # the cause is told once
        outer.note(outcome="done")
    telemetry.close()
    claim, call, again, assess = collector.spans
    assert [each.name for each in (claim, call, again, assess)] == ["assess.claim", "assess.call", "assess", "assess"]
    assert (assess.trace_id, assess.parent) == tuple(PARENT.split("-")[1:3])
    assert [claim.parent, call.parent] == [assess.span_id, assess.span_id]
    assert (assess.links, again.links) == ((FOREIGN.split("-")[2],), ())
    assert assess.attributes == {"trafficmon.assessment_id": 7, "trafficmon.outcome": "done"}
    assert call.attributes == {"trafficmon.model": "qwen-vl-plus"}
    assert (assess.began, claim.ended) == (1, 2)


def test_span_of_no_parent_begins_a_trace_even_within_another(collector: Collector) -> None:
    telemetry = turn_on()
    with tracing.span("a", parent=""), tracing.span("b", parent="no traceparent at all"):
        pass
    telemetry.close()
    assert [each.parent for each in collector.spans] == ["", ""]
    assert len({each.trace_id for each in collector.spans}) == 2


def test_span_of_what_failed_tells_the_kind_and_no_words(collector: Collector) -> None:
    telemetry = turn_on()
    with pytest.raises(ValueError, match="rtsp"), tracing.span("detect", parent="", source="rtsp://me:secret@cam/1"):
        raise ValueError("rtsp://me:secret@cam/1")
    telemetry.close()
    [span] = collector.spans
    assert span.failed
    assert span.attributes == {"trafficmon.source": "rtsp://***@cam/1", "trafficmon.outcome": "ValueError"}


def test_sampler_of_the_standard_variables_decides(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    telemetry = turn_on()
    with tracing.span("capture.sample", parent=""):
        # What follows elsewhere learns that this trace is not kept.
        assert int(tracing.traceparent()[-2:], 16) & 1 == 0
    with tracing.span("detect", parent=PARENT):
        pass
    telemetry.close()
    assert [each.name for each in collector.spans] == ["detect"]
