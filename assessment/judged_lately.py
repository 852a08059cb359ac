"""What models said of a camera a moment ago, for groups that still look the same."""

from __future__ import annotations

from datetime import datetime

from assessment.gate import candidates_of
from assessment.models import Assessment
from assessment.repeats import JudgedGroup
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus, RiskLevel, RiskType, RiskVerdict
from detection.detections import DetectedFrame

MOST_JUDGED_LATELY = 12
"""Verdicts to compare a frame with."""


def judged_lately(camera_id: int, *, since: datetime) -> tuple[JudgedGroup, ...]:
    """What models said of frames of the camera captured `since` a moment, newest first; one query of some rows."""
    rows = (
        Assessment.objects.put_to_models()
        .filter(camera=camera_id, created_at__gt=since, status=AssessmentStatus.DONE, late=False)
        .order_by("-created_at", "-pk")
        .select_related("frame_result")[:MOST_JUDGED_LATELY]
    )
    frames: dict[int, DetectedFrame] = {}
    found = (_judged_group(row, frames) for row in rows if row.frame_result.captured_at > since)
    return tuple(each for each in found if each)


def _judged_group(row: Assessment, frames: dict[int, DetectedFrame]) -> JudgedGroup | None:
    """The group as the gate saw it; None where the gate's rules have changed so that it is none any more."""
    frame = frames.setdefault(row.frame_result_id, detected_frame(row.frame_result))
    one = next((each for each in candidates_of(frame) if each.group_index == row.group_index), None)
    if one is None:
        return None
    members = {place: frame.detections[place] for place in one.members}
    return JudgedGroup(row.pk, members, one.prior.score, _verdict_of(row))


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
