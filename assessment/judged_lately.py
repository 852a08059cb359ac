"""What models said of a camera a moment ago, for groups that still look the same."""

from __future__ import annotations

from datetime import datetime

from assessment.gate import places_of
from assessment.models import Assessment
from assessment.repeats import JudgedGroup
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus, RiskLevel, RiskType, RiskVerdict
from detection.detections import DetectedFrame, Detection

MOST_JUDGED_LATELY = 8
"""Verdicts to compare a frame with."""


def judged_lately(camera_id: int, *, since: datetime) -> tuple[JudgedGroup, ...]:
    """What models said of frames of the camera captured `since` a moment, newest first; one query of some rows."""
    rows = (
        Assessment.objects.put_to_models()
        .filter(camera=camera_id, created_at__gt=since, status=AssessmentStatus.DONE, late=False)
        .exclude(prior=None)
        .order_by("-created_at", "-pk")
        .select_related("frame_result")[:MOST_JUDGED_LATELY]
    )
    chosen = [row for row in rows if row.frame_result.captured_at > since]
    frames = {row.frame_result_id: row.frame_result for row in chosen}
    groups = {pk: _groups_of(detected_frame(frame)) for pk, frame in frames.items()}
    judged = ((row, groups[row.frame_result_id].get(row.group_index)) for row in chosen)
    return tuple(JudgedGroup(row.pk, members, row.prior or 0.0, _verdict_of(row)) for row, members in judged if members)


def _groups_of(frame: DetectedFrame) -> dict[int, dict[int, Detection]]:
    """The members of each group by their places, as the gate saw them."""
    return {index: {each: frame.detections[each] for each in places} for index, places in places_of(frame).items()}


def _verdict_of(row: Assessment) -> RiskVerdict:
    return RiskVerdict(
        group_index=row.group_index,
        level=RiskLevel(row.risk_level),
        type=RiskType(row.risk_type or RiskType.OTHER),
        description=row.description,
        confidence=row.confidence or 0.0,
        risk_types=tuple(row.risk_types),
        danger_object_count=row.danger_object_count,
        trigger_object_ids=tuple(row.trigger_object_ids),
    )
