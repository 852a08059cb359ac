"""What happened at cameras in a stretch of time: frames, questions and verdicts, alerts, who crossed a line, cost.

Of frames without a risk only those of the last `ALGO_FRAME_RETENTION_HOURS` are kept and can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet, Sum

from assessment.models import Alert, AlertKind, Assessment, FrameResult, LineCount
from assessment.risk import AssessmentStatus
from cameras.models import Camera

Tally = dict[str, int]


@dataclass(slots=True)
class CameraStatistics:
    """Of one camera: frames and questions by how they ended, verdicts and dangers by level, crossings by class."""

    camera_id: int
    frames: Tally = field(default_factory=dict)
    assessments: Tally = field(default_factory=dict)
    verdicts: Tally = field(default_factory=dict)
    dangers: Tally = field(default_factory=dict)
    times_lost: int = 0
    crossings: Tally = field(default_factory=dict)
    answer_seconds: float | None = None
    """On average, of those that a model answered."""


def statistics_of(cameras: QuerySet[Camera], *, since: datetime, before: datetime) -> list[CameraStatistics]:
    """Of each of the cameras, in their order, what began from `since` on and before `before`. Seven queries."""
    found = {pk: CameraStatistics(pk) for pk in cameras.values_list("pk", flat=True)}
    _add_frames(found, cameras, Q(captured_at__gte=since, captured_at__lt=before))
    _add_questions(found, cameras, Q(created_at__gte=since, created_at__lt=before))
    _add_alerts(found, cameras, Q(opened_at__gte=since, opened_at__lt=before))
    _add_crossings(found, cameras, Q(hour__gte=since, hour__lt=before))
    return list(found.values())


def _add_frames(found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q) -> None:
    for camera_id, status, count in _counted(FrameResult.objects.filter(when, camera__in=cameras), "status"):
        found[camera_id].frames[status] = count


def _add_questions(found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q) -> None:
    asked = Assessment.objects.filter(when, camera__in=cameras)
    done = asked.filter(status=AssessmentStatus.DONE)
    for camera_id, status, count in _counted(asked, "status"):
        found[camera_id].assessments[status] = count
    for camera_id, level, count in _counted(done, "risk_level"):
        found[camera_id].verdicts[level] = count
    took = done.put_to_models().order_by().values_list("camera").annotate(Avg("llm_seconds"))
    for camera_id, seconds in took:
        found[camera_id].answer_seconds = seconds


def _add_alerts(found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q) -> None:
    opened = Alert.objects.filter(when, camera__in=cameras)
    for camera_id, level, count in _counted(opened.dangers(), "risk_level"):
        found[camera_id].dangers[level] = count
    for camera_id, _kind, count in _counted(opened.filter(kind=AlertKind.CAMERA_LOST), "kind"):
        found[camera_id].times_lost = count


def _add_crossings(found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q) -> None:
    rows = LineCount.objects.filter(when, line__camera__in=cameras).order_by()
    for camera_id, object_class, count in rows.values_list("line__camera", "object_class").annotate(Sum("count")):
        found[camera_id].crossings[object_class] = count


def _counted(rows: QuerySet[Any], by: str) -> Iterable[tuple[int, str, int]]:
    """How many rows of each camera and kind there are."""
    counted: Iterable[tuple[int, str, int]] = rows.order_by().values_list("camera", by).annotate(Count("pk"))
    return counted
