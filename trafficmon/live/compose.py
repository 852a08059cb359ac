"""Messages made from what is kept in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings

from assessment.alert_policy import is_stale, seconds_left
from assessment.alerts import policy_of
from assessment.ladder import LadderState
from assessment.models import Alert, AlertKind, Assessment, FrameResult
from assessment.results import detected_frame
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, RiskType
from assessment.unasked import Unasked, unasked_of
from cameras.models import Camera, StreamState
from cameras.wording import in_words
from detection.detections import DetectedFrame, Detection, TrafficGroup
from trafficmon.core import tracing
from trafficmon.core.clock import spell
from trafficmon.core.objects import ObjectClass
from trafficmon.live.messages import (
    AlertChange,
    AlertMessage,
    AssessmentResult,
    CameraStatus,
    DangerousDrivingResult,
    DetectedObject,
    DetectionResult,
    GroupVerdict,
    Ladder,
    LoadMessage,
    ShownGroup,
    StoodIn,
)

LONGEST_RAW_TEXT = 4000


def detection_result(
    row: FrameResult, assessments: Sequence[Assessment], *, supported: tuple[ObjectClass, ...]
) -> DetectionResult:
    """What the frame shows, not yet with a verdict (see `DetectionResult.with_verdict`) and without its picture."""
    frame = detected_frame(row)
    asked = {each.group_index: each for each in assessments}
    unasked = {each.group_index: each for each in unasked_of(row)}
    return DetectionResult(
        camera_id=frame.camera_id,
        timestamp=spell(frame.captured_at),
        frame_key=frame.frame_key,
        image_width=frame.width,
        image_height=frame.height,
        detected_objects=tuple(_object(number, each) for number, each in enumerate(frame.detections, 1)),
        traffic_groups=tuple(
            _group(each, frame, asked.get(each.index) or unasked.get(each.index)) for each in frame.groups
        ),
        assessment_status=AssessmentStatus(row.status),
        partial=row.partial,
        assessment_reason=row.reason,
        process_time=round(frame.process_seconds, 4),
        model_type=frame.model,
        supported_classes=supported,
        tracking_enabled=frame.tracking_enabled,
        traceparent=tracing.traceparent() or None,
    )


def _object(number: int, detection: Detection) -> DetectedObject:
    return DetectedObject(
        id=number,
        object_class=detection.object_class,
        confidence=round(detection.confidence, 4),
        bbox=detection.box.rounded(),
        track_id=detection.track_id,
        zones=tuple(StoodIn(name=zone.name, kind=zone.kind) for zone in detection.zones) or None,
        parked=detection.parked or None,
        against_lane=detection.against_lane or None,
        speed_kmh=detection.speed_kmh,
        speed_deviation_kmh=detection.speed_deviation_kmh,
    )


def _group(group: TrafficGroup, frame: DetectedFrame, assessment: Assessment | Unasked | None) -> ShownGroup:
    return ShownGroup(
        **dict(_group_verdict(group.index, assessment)),
        object_count=len(group.members),
        bbox=group.box.rounded(),
        classes=tuple(dict.fromkeys(each.object_class for each in frame.members_of(group))),
        average_confidence=round(group.average_confidence, 4),
        member_indices=group.members,
        closing_speed_kmh=group.closing_speed_kmh,
        closing_speed_deviation_kmh=group.closing_speed_deviation_kmh,
    )


def _group_verdict(group_index: int, assessment: Assessment | Unasked | None) -> GroupVerdict:
    if assessment is None:
        return GroupVerdict(group_index=group_index, assessment_status=AssessmentStatus.SKIPPED)
    if isinstance(assessment, Unasked):
        told = {"skip_reason": assessment.reason, "prior": assessment.prior}
        return GroupVerdict(group_index=group_index, assessment_status=AssessmentStatus.SKIPPED, **told)
    status = AssessmentStatus(assessment.status)
    if status is not AssessmentStatus.DONE:
        return GroupVerdict(group_index=group_index, assessment_status=status, prior=assessment.prior)
    return GroupVerdict(
        group_index=group_index,
        assessment_status=status,
        judged_by=JudgedBy(assessment.judged_by),
        prior=assessment.prior,
        risk_level=RiskLevel(assessment.risk_level),
        risk_types=tuple(assessment.risk_types),
        alert_description=assessment.description,
        alert_confidence=assessment.confidence,
    )


def assessment_result(row: FrameResult, assessments: Sequence[Assessment]) -> AssessmentResult:
    """What was judged of the frame so far; `none` is a level only where `assessment_status` is `done`."""
    done = [each for each in assessments if each.status == AssessmentStatus.DONE]
    level = RiskLevel(row.max_risk_level)
    return AssessmentResult(
        camera_id=row.camera_id,
        frame_timestamp=spell(row.captured_at),
        assessment_status=AssessmentStatus(row.status),
        partial=row.partial,
        late=any(each.late for each in assessments),
        reason=row.reason,
        dangerous_driving_results=tuple(_result(each) for each in done),
        has_dangerous_driving=level is not RiskLevel.NONE,
        max_risk_level=level,
        traffic_groups=tuple(_group_verdict(each.group_index, each) for each in assessments),
        traceparent=tracing.traceparent() or None,
        **_model_part(done),
    )


def _model_part(done: Sequence[Assessment]) -> dict[str, Any]:
    return {
        "llm_latency": round(max((each.llm_seconds or 0.0 for each in done), default=0.0), 3),
        "llm_model": next((each.llm_model for each in done if each.llm_model), ""),
        "llm_raw_text": "\n".join(each.raw_text for each in done if each.raw_text)[:LONGEST_RAW_TEXT],
    }


def _result(assessment: Assessment) -> DangerousDrivingResult:
    return DangerousDrivingResult(
        group_index=assessment.group_index,
        judged_by=JudgedBy(assessment.judged_by),
        type=RiskType(assessment.risk_type or RiskType.OTHER),
        description=assessment.description,
        risk_level=RiskLevel(assessment.risk_level),
        confidence=assessment.confidence or 0.0,
        risk_types=tuple(assessment.risk_types),
        danger_object_count=assessment.danger_object_count,
        trigger_object_ids=tuple(assessment.trigger_object_ids),
    )


def alert_message(alert: Alert, *, change: AlertChange, now: datetime, replayed: bool = False) -> AlertMessage:
    """Where the alert stands; `alert.camera` and `alert.acknowledged_by` should be loaded."""
    message = AlertMessage(
        alert_id=alert.pk,
        kind=AlertKind(alert.kind).value,
        change=change,
        replayed=replayed,
        camera_id=alert.camera_id,
        camera_name=alert.camera.name,
        state=alert.state,
        risk_level=RiskLevel(alert.risk_level),
        type=RiskType(alert.risk_type),
        type_name_shown=alert.name,
        risk_types=tuple(alert.risk_types),
        description=alert.description,
        bbox=tuple(alert.place),
        track_ids=tuple(alert.track_ids),
        times_seen=alert.times_seen,
        opened_at=spell(alert.opened_at),
        last_seen_at=spell(alert.last_seen_at),
        continues=alert.closed_at is None,
        acknowledged_at=spell(alert.acknowledged_at) if alert.acknowledged_at else None,
        acknowledged_by=alert.acknowledged_by.get_username() if alert.acknowledged_by else None,
        closed_at=spell(alert.closed_at) if alert.closed_at else None,
    )
    return message if alert.kind == AlertKind.CAMERA_LOST else message.model_copy(update=_countdown(alert, now))


def _countdown(alert: Alert, now: datetime) -> dict[str, object]:
    """When a danger is no longer taken for continuing, and when it ends unless it is seen again."""
    policy, is_live = policy_of(alert.camera), alert.closed_at is None
    return {
        "continues": is_live and not is_stale(alert.last_seen_at, now, policy),
        "stale_at": spell(alert.last_seen_at + policy.stale_after),
        "closes_at": spell(alert.last_seen_at + policy.close_after),
        "seconds_left": round(seconds_left(alert.last_seen_at, now, policy), 1) if is_live else 0.0,
    }


def load_message(stretch: float, ladder: LadderState) -> LoadMessage:
    """What a stretch of the interval means for the installation's usual one, and how far assessment is reduced."""
    usual = settings.ENVIRONMENT.frame_interval
    return LoadMessage(
        stretch=round(stretch, 3),
        interval_seconds=round(usual * stretch, 2),
        usual_interval_seconds=usual,
        ladder=ladder_part(ladder),
    )


def ladder_part(ladder: LadderState) -> Ladder:
    since = spell(ladder.since) if ladder.since else None
    return Ladder(level=ladder.level, reason=ladder.reason, since=since)


def camera_status(camera: Camera) -> CameraStatus:
    """What was last seen of the camera."""
    return CameraStatus(
        camera_id=camera.pk,
        status=1 if camera.state == StreamState.ONLINE else 0,
        message=in_words(camera.last_error) or str(camera.get_state_display()),
        state=camera.state,
        since=spell(camera.state_since) if camera.state_since else None,
    )
