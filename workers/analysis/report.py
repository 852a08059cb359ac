"""The report for people: one HTML file that needs nothing else, not even the network."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, npgettext

from assessment.judge import Judgement
from assessment.risk import WHOLE_FRAME, AssessmentStatus, RiskLevel, highest
from trafficmon.core.objects import ROAD_USERS, ObjectClass
from workers.analysis import words
from workers.analysis.annotate import annotate
from workers.analysis.charts import Mark, Series, Span, clock, counts_chart, risk_chart
from workers.analysis.findings import AnalysedFrame, Analysis, Assessed, DerivedAlert

MOST_ROWS = 400
"""Assessments shown with their pictures; the table is of the gravest when there are more."""
UNANSWERED = "unknown"
"""The class, for colours, of what has no level."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the summary."""

    value: str
    label: str
    note: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """An annotated picture."""

    frame_number: int
    time: str
    level: str
    level_word: str
    caption: str
    picture: str
    """A data URI."""


@dataclass(frozen=True, slots=True)
class Row:
    """One assessment as the table shows it; the defaults are those of one without an answer."""

    time: str
    frame_number: int
    has_card: bool
    group: str
    picture: str
    status_word: str
    description: str
    level: str = UNANSWERED
    level_word: str = ""
    kind: str = ""
    words: str = ""
    confidence: str = "–"
    model: str = "–"
    latency: str = "–"


@dataclass(frozen=True, slots=True)
class AlertCard:
    """A derived alert."""

    level: str
    level_word: str
    kind: str
    description: str
    when: str
    seen: str
    frame_number: int
    """Of the first picture that shows it, 0 where none is in the report."""


def write_report(analysis: Analysis, folder: Path) -> Path:
    """Write `report.html`; raises OSError."""
    path = folder / "report.html"
    path.write_text(render(analysis), encoding="utf-8")
    return path


def render(analysis: Analysis) -> str:
    """The whole page."""
    shown = shown_rows(analysis.assessed)
    return render_to_string(
        "workers/report.html",
        {
            "analysis": analysis,
            "facts": facts(analysis),
            "figures": figures(analysis),
            "no_key": any(each.reason == "no_key" for each in analysis.assessed),
            "counts": _counts(analysis),
            "classes": [(each.value, words.of_class(each)) for each in _classes(analysis)],
            "risk": _risk(analysis),
            "alerts": [_alert_card(each, analysis) for each in analysis.alerts],
            "cards": list(_cards(analysis)),
            "rows": [_row(each, analysis) for each in shown],
            "rows_left_out": len(analysis.assessed) - len(shown),
        },
    )


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """What the recording is and how it was analysed, as pairs of a name and a value."""
    recording, conditions = analysis.recording, analysis.conditions
    rate = f", {recording.fps:.3g} fps" if recording.fps else ""
    length = clock(recording.duration_seconds, digits=1) if recording.duration_seconds else _("unknown")
    told = [
        (_("Recorded"), f"{recording.started_at.astimezone():%Y-%m-%d %H:%M:%S %Z}"),
        (_("Length"), length),
        (_("Picture"), f"{recording.width} × {recording.height}, {recording.codec}{rate}"),
        (_("Sampled"), _("every %(seconds)s s") % {"seconds": f"{conditions.every_seconds:g}"}),
        (_("Detector"), conditions.detector),
        (_("Thresholds"), _thresholds(analysis)),
    ]
    if conditions.asks:
        cooldown = _("at most every %(seconds)s s") % {"seconds": f"{conditions.cooldown_seconds:g}"}
        versions = sorted({each.judgement.prompt_version for each in analysis.assessed if each.judgement})
        told += [(_("Model"), f"{conditions.llm_model}, {cooldown}"), (_("Prompt"), ", ".join(versions) or "–")]
    took = _("%(when)s, in %(seconds)s s") % {
        "when": f"{analysis.analysed_at.astimezone():%Y-%m-%d %H:%M %Z}",
        "seconds": f"{analysis.took_seconds:.1f}",
    }
    return [*told, (_("Analysed"), took)]


def _thresholds(analysis: Analysis) -> str:
    conditions = analysis.conditions
    return _("confidence %(confidence)s, overlap %(overlap)s, groups within %(distance)s px") % {
        "confidence": f"{conditions.confidence_threshold:g}",
        "overlap": f"{conditions.iou_threshold:g}",
        "distance": f"{conditions.distance_threshold_px:g}",
    }


def figures(analysis: Analysis) -> list[Figure]:
    """The summary. What could not be assessed is counted apart, never as safe."""
    counts = [each.road_user_count for each in analysis.frames]
    tracks = {one.track_id for each in analysis.frames for one in each.frame.detections} - {None}
    mean = sum(counts) / len(counts) if counts else 0.0
    shown = [
        Figure(str(len(analysis.frames)), _("frames analysed")),
        Figure(f"{mean:.1f}", _("road users in a frame"), _("at most %(most)d") % {"most": max(counts, default=0)}),
        Figure(str(len(tracks)), _("road users followed"), "" if tracks else _("sample more often to follow them")),
    ]
    return [*shown, *_risk_figures(analysis)] if analysis.conditions.asks else shown


def _risk_figures(analysis: Analysis) -> list[Figure]:
    levels = [each.level for each in analysis.assessed if each.level]
    unanswered = len(analysis.assessed) - len(levels)
    note = _("%(count)d without an answer") % {"count": unanswered} if unanswered else ""
    worst = highest(levels)
    seen = Figure(words.of_level(worst), _("highest risk"), level=worst) if levels else _no_answer()
    return [
        Figure(str(len(levels)), _("assessments"), note),
        seen,
        Figure(str(len(analysis.alerts)), npgettext("figure", "alert", "alerts", len(analysis.alerts))),
    ]


def _no_answer() -> Figure:
    return Figure("–", _("highest risk"), _("nothing was assessed"), UNANSWERED)


def _classes(analysis: Analysis) -> list[ObjectClass]:
    seen = {one.object_class for each in analysis.frames for one in each.frame.detections} & ROAD_USERS
    return [each for each in ObjectClass if each in seen]


def _span_seconds(analysis: Analysis) -> float:
    """What the time axis shows: up to the end of what was analysed."""
    return analysis.analysed_seconds + analysis.conditions.every_seconds


def _counts(analysis: Analysis) -> SafeString:
    series = [
        Series(
            each.value,
            words.of_class(each),
            tuple(sum(one.object_class == each for one in frame.frame.detections) for frame in analysis.frames),
        )
        for each in _classes(analysis)
    ]
    times = [each.seconds for each in analysis.frames]
    title = _("Road users in a frame over time, by class")
    return counts_chart(times, series, seconds=_span_seconds(analysis), title=title)


def _risk(analysis: Analysis) -> SafeString:
    rows = [(UNANSWERED, _("no answer")), *((level.value, words.of_level(level)) for level in RiskLevel)]
    marks = [_mark(frame) for frame in analysis.frames if frame.assessed]
    spans = [
        Span(each.opened_seconds, each.last_seen_seconds, each.level.value, f"{_('Alert')}: {_alert_words(each)}")
        for each in analysis.alerts
    ]
    title = _("Highest risk of each assessed frame over time; bars above are alerts")
    return risk_chart(rows, marks, spans, seconds=_span_seconds(analysis), title=title)


def _mark(frame: AnalysedFrame) -> Mark:
    outcome = frame.outcome
    time = clock(frame.seconds, digits=1)
    if outcome.status != AssessmentStatus.DONE:
        return Mark(frame.seconds, 0, UNANSWERED, f"{time}: {words.of_status(outcome.status)}")
    title = f"{time}: {words.of_level(outcome.level)}"
    return Mark(frame.seconds, 1 + outcome.level.severity, outcome.level.value, title)


def _alert_words(alert: DerivedAlert) -> str:
    return f"{words.of_type(alert.risk_type)}, {words.of_level(alert.level)}"


def _alert_card(alert: DerivedAlert, analysis: Analysis) -> AlertCard:
    begin, end = clock(alert.opened_seconds, digits=1), clock(alert.last_seen_seconds, digits=1)
    return AlertCard(
        level=alert.level.value,
        level_word=words.of_level(alert.level),
        kind=words.of_type(alert.risk_type),
        description=alert.description,
        when=begin if begin == end else f"{begin} – {end}",
        seen=ngettext("seen once", "seen %(times)d times", alert.times_seen) % {"times": alert.times_seen},
        frame_number=next((number for number in alert.frame_numbers if number in analysis.pictures), 0),
    )


def _cards(analysis: Analysis) -> Iterator[Card]:
    for number, jpeg in analysis.pictures.items():
        frame = analysis.frames[number - 1]
        outcome = frame.outcome
        level, word = (outcome.level.value, words.of_level(outcome.level)) if outcome.status == "done" else ("", "")
        if outcome.status in {AssessmentStatus.FAILED, AssessmentStatus.EXPIRED}:
            level, word = UNANSWERED, words.of_status(outcome.status)
        annotated = annotate(jpeg, frame, name_object=words.of_object, name_group=words.of_group)
        yield Card(number, clock(frame.seconds, digits=1), level, word, _caption(frame), _data_uri(annotated))


def _caption(frame: AnalysedFrame) -> str:
    counts = [
        f"{count} × {words.of_class(each)}"
        for each in ObjectClass
        if (count := sum(one.object_class == each for one in frame.frame.detections))
    ]
    return ", ".join(counts) or _("nothing")


def shown_rows(assessed: tuple[Assessed, ...], *, most: int = MOST_ROWS) -> list[Assessed]:
    """The gravest in the order of time."""
    gravest = sorted(assessed, key=lambda each: (-(each.level or RiskLevel.NONE).severity, each.number))
    return sorted(gravest[:most], key=lambda each: each.number)


def _row(each: Assessed, analysis: Analysis) -> Row:
    row = Row(
        time=clock(each.seconds, digits=1),
        frame_number=each.frame_number,
        has_card=each.frame_number in analysis.pictures,
        group=_("whole frame") if each.group_index == WHOLE_FRAME else str(each.group_index),
        picture=_data_uri(each.picture) if each.picture else "",
        status_word=words.of_status(each.status),
        description=words.of_reason(each.reason),
    )
    return _answered(row, each.judgement) if each.judgement else row


def _answered(row: Row, judgement: Judgement) -> Row:
    verdict, answer = judgement.verdict, judgement.answer
    return replace(
        row,
        level=verdict.level.value,
        level_word=words.of_level(verdict.level),
        kind=words.of_type(verdict.type) if verdict.level != RiskLevel.NONE else "",
        words=", ".join(verdict.risk_types),
        description=verdict.description,
        confidence=f"{verdict.confidence:.2f}",
        model=answer.model,
        latency=f"{answer.seconds:.2f} s",
    )


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
