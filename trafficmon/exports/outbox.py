"""Events written down: each `note_` function is called last in the transaction that makes happen what it tells of.

Where no sink is configured they return at once: no query is made, no row written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Q

from assessment.alerts import AlertChange
from assessment.models import Alert, Assessment, DeadLetter, DeadLetterState, FrameResult
from assessment.risk import JudgedBy, RiskLevel
from cameras.models import CHECK_CAMERAS, Camera
from trafficmon.core.clock import spell
from trafficmon.core.topics import Topic
from trafficmon.exports.models import Event, EventState
from trafficmon.exports.payloads import (
    AlertEventTold,
    AnyEvent,
    AssessmentTask,
    AssessmentTaskEvent,
    DeadLetterEvent,
    DeadLetterTold,
    DetectionResultEvent,
    RiskAssessmentResultEvent,
)
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange as Change
from trafficmon.live.publish import supported_classes

_NAMESPACE = uuid.UUID("5f5c2a52-9d0c-4f2a-8f1c-1f6f6a1f7a10")
_ORDERED = 0x7AFF1C
"""Names our advisory locks among those of the database."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no number yet; `subject` names what happened, once and for ever."""

    topic: Topic
    camera_id: int
    subject: str
    event: AnyEvent


def is_exported(*topics: Topic) -> bool:
    """Whether any of these goes anywhere."""
    environment = settings.ENVIRONMENT
    return bool(environment.export_sinks) and not set(topics).isdisjoint(environment.export_topics)


def event_id(topic: Topic, subject: str) -> str:
    """The id that the same happening always has, here or wherever it is computed again."""
    return str(uuid.uuid5(_NAMESPACE, f"{settings.ENVIRONMENT.export_prefix}{topic}/{subject}"))


def note_detected(row: FrameResult, *, now: datetime) -> int:
    """What a frame shows, and the questions it raises; how many events were written."""
    if not is_exported(Topic.DETECTION_RESULTS, Topic.ASSESSMENT_TASKS):
        return 0
    questions = sorted(row.assessments.all(), key=lambda each: each.group_index)
    shown = compose.detection_result(row, questions, supported=supported_classes())
    told = {"camera_id": row.camera_id, "occurred_at": spell(now)}
    topic = Topic.DETECTION_RESULTS
    event = DetectionResultEvent(id=event_id(topic, row.frame_key), data=shown, **told)
    asked = [each for each in questions if each.judged_by == JudgedBy.MODEL]
    return _write([Draft(topic, row.camera_id, row.frame_key, event), *(_task(row, each, now) for each in asked)], now)


def _task(row: FrameResult, question: Assessment, now: datetime) -> Draft:
    topic, subject = Topic.ASSESSMENT_TASKS, f"{row.frame_key}/{question.group_index}"
    data = AssessmentTask(
        assessment_id=question.pk,
        camera_id=row.camera_id,
        frame_key=row.frame_key,
        frame_timestamp=spell(row.captured_at),
        group_index=question.group_index,
        urgent=question.urgent,
        prior=question.prior,
        deadline_at=spell(question.deadline_at),
    )
    told = {"id": event_id(topic, subject), "camera_id": row.camera_id, "occurred_at": spell(now)}
    return Draft(topic, row.camera_id, subject, AssessmentTaskEvent(data=data, **told))


def note_closed(rows: Sequence[FrameResult], *, now: datetime) -> int:
    """What frames came to, with the questions of theirs that were given up; how many events were written."""
    if not rows or not is_exported(Topic.RISK_ASSESSMENT_RESULTS, Topic.DEAD_LETTERS):
        return 0
    frames = {row.pk: row for row in rows}
    buried = DeadLetter.objects.filter(assessment__frame_result__in=frames, state=DeadLetterState.WAITING)
    buried = buried.select_related("assessment").order_by("assessment__frame_result", "assessment__group_index")
    letters = [_letter(each, frames[each.assessment.frame_result_id], now) for each in buried]
    return _write([*(_verdict(row, now) for row in rows), *letters], now)


def _verdict(row: FrameResult, now: datetime) -> Draft:
    topic, subject = Topic.RISK_ASSESSMENT_RESULTS, f"{row.frame_key}/{spell(row.closed_at or now)}"
    data = compose.assessment_result(row, sorted(row.assessments.all(), key=lambda each: each.group_index))
    told = {"id": event_id(topic, subject), "camera_id": row.camera_id, "occurred_at": spell(now)}
    return Draft(topic, row.camera_id, subject, RiskAssessmentResultEvent(data=data, **told))


def _letter(letter: DeadLetter, row: FrameResult, now: datetime) -> Draft:
    """A letter that was sent again and given up again is another event; the others of its frame are not."""
    question = letter.assessment
    topic, subject = Topic.DEAD_LETTERS, f"{row.frame_key}/{question.group_index}/{spell(letter.died_at)}"
    data = DeadLetterTold(
        assessment_id=question.pk,
        camera_id=row.camera_id,
        frame_key=row.frame_key,
        frame_timestamp=spell(row.captured_at),
        group_index=question.group_index,
        reason=letter.reason,
        attempts=letter.attempts,
        died_at=spell(letter.died_at),
        max_risk_level=RiskLevel(row.max_risk_level),
    )
    told = {"id": event_id(topic, subject), "camera_id": row.camera_id, "occurred_at": spell(now)}
    return Draft(topic, row.camera_id, subject, DeadLetterEvent(data=data, **told))


def note_alerts(changes: Iterable[AlertChange], *, now: datetime) -> int:
    """What happened to alerts, and where they stand now; how many events were written."""
    told = [(change.alert_id, change.change) for change in changes] if is_exported(Topic.ALERTS) else []
    alerts = Alert.objects.filter(pk__in={number for number, _change in told})
    found = {each.pk: each for each in alerts.select_related("camera", "acknowledged_by").defer("camera__source")}
    return _write([_alert(found[number], change, now) for number, change in told if number in found], now)


def _alert(alert: Alert, change: str, now: datetime) -> Draft:
    subject = f"{alert.pk}/{spell(alert.opened_at)}/{change}/{alert.times_seen}/{now.isoformat()}"
    data = compose.alert_message(alert, change=Change(change), now=now)
    told = {"id": event_id(Topic.ALERTS, subject), "camera_id": alert.camera_id, "occurred_at": spell(now)}
    return Draft(Topic.ALERTS, alert.camera_id, subject, AlertEventTold(data=data, **told))


def _write(drafts: Sequence[Draft], now: datetime) -> int:
    """A row for each event and sink. What was written before stays as it is."""
    environment = settings.ENVIRONMENT
    wanted = [each for each in drafts if each.topic in environment.export_topics]
    made_up = _of_check({each.camera_id for each in wanted})
    rows = [
        Event(
            sink=sink,
            event_id=each.event.id,
            topic=each.topic,
            camera_id=each.camera_id,
            body=each.event.model_dump_json(by_alias=True, exclude_none=True),
            created_at=now,
            state=EventState.WAITING,
        )
        for each in wanted
        if each.camera_id not in made_up
        for sink in environment.export_sinks
    ]
    if rows:
        _keep_order({row.camera_id for row in rows})
    return len(Event.objects.bulk_create(rows, ignore_conflicts=True))


def _of_check(camera_ids: set[int]) -> set[int]:
    """Those of the cameras that the end-to-end check made up: nobody need be told of them."""
    if not camera_ids:
        return set()
    checks = Camera.objects.filter(Q(name__startswith=f"{CHECK_CAMERAS} "), pk__in=camera_ids)
    return set(checks.values_list("pk", flat=True))


def _keep_order(camera_ids: set[int]) -> None:
    """Let rows of one camera get their numbers in the order in which they become visible.

    Held until the transaction ends, and taken last in it and by ascending number, so that nobody waits in a circle.
    SQLite has one writer at a time anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for camera_id in sorted(camera_ids):
                cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_ORDERED, camera_id % 2**31])
