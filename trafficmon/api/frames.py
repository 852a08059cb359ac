"""Frames, what was found in them, and each question put about them with its outcome."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from assessment.models import Assessment, Evidence, EvidenceKind, FrameResult
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, RiskType
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.api.answers import Answer, Paged, Refused, endpoint
from trafficmon.api.paging import Order, Period, chosen
from trafficmon.core.clock import spell
from trafficmon.live import compose
from trafficmon.live.messages import DetectedObject, ShownGroup

BY_CAPTURE = Order("captured_at")
BY_CREATION = Order("created_at")
_AS_KEPT = (
    *("camera_id", "group_index", "status", "reason", "judged_by", "urgent", "late", "prior", "risk_types"),
    *("description", "confidence", "danger_object_count", "trigger_object_ids", "llm_model", "prompt_version"),
    *("llm_seconds", "input_tokens", "output_tokens"),
)


class Frames(Period):
    """Which frames: by when they were captured, and what they came to."""

    status: AssessmentStatus | None = None
    level: RiskLevel | None = None


class Assessments(Period):
    """Which assessments: by when they were asked, and how they ended."""

    status: AssessmentStatus | None = None
    level: RiskLevel | None = None
    type: RiskType | None = None
    judged_by: JudgedBy | None = None


class FrameAnswer(Answer):
    """A frame and what its questions came to: `maxRiskLevel` none means safe only with `done` and not `partial`."""

    frame_id: int
    frame_key: str
    camera_id: int
    captured_at: str
    detected_at: str
    closed_at: str | None
    image_width: int
    image_height: int
    object_count: int
    group_count: int
    assessment_status: AssessmentStatus
    assessment_reason: str
    partial: bool
    max_risk_level: RiskLevel
    process_seconds: float
    model: str


class PictureAnswer(Answer):
    """A picture kept as evidence: where it is, and its SHA-256."""

    kind: EvidenceKind
    path: str
    sha256: str


class AssessmentAnswer(Answer):
    """One question about one traffic group (0: the whole frame) and its outcome; a risk only where it is `done`."""

    assessment_id: int
    frame_id: int
    camera_id: int
    group_index: int
    status: AssessmentStatus
    reason: str
    judged_by: JudgedBy
    urgent: bool
    late: bool
    created_at: str
    ended_at: str | None
    prior: float | None
    prior_reason: str | None
    risk_level: RiskLevel | None
    risk_type: RiskType | None
    risk_types: list[str]
    description: str
    confidence: float | None
    danger_object_count: int
    trigger_object_ids: list[int]
    llm_model: str
    prompt_version: str
    llm_seconds: float | None
    input_tokens: int
    output_tokens: int


class AssessmentDetail(AssessmentAnswer):
    """With the model's words, and the pictures that were kept."""

    raw_text: str
    evidence: list[PictureAnswer]


class FrameDetail(FrameAnswer):
    """With what was found, and each question."""

    detected_objects: tuple[DetectedObject, ...]
    traffic_groups: tuple[ShownGroup, ...]
    assessments: list[AssessmentAnswer]


@endpoint("GET")
def listed(_request: HttpRequest, user: User, query: Frames) -> Paged[FrameAnswer]:
    """The frames of the cameras that the user may see, newest first."""
    rows = FrameResult.objects.filter(camera__in=Camera.objects.visible_to(user))
    wanted = {"status": query.status, "max_risk_level": query.level}
    return BY_CAPTURE.page(query.narrow(rows, "captured_at").filter(**chosen(wanted)), query, _frame)


def _frame(row: FrameResult) -> FrameAnswer:
    return FrameAnswer(**_facts(row))


def _facts(row: FrameResult) -> dict[str, object]:
    return {
        "frame_id": row.pk,
        "frame_key": row.frame_key,
        "camera_id": row.camera_id,
        "captured_at": spell(row.captured_at),
        "detected_at": spell(row.detected_at),
        "closed_at": spell(row.closed_at) if row.closed_at else None,
        "image_width": row.width,
        "image_height": row.height,
        "object_count": len(row.detections),
        "group_count": len(row.traffic_groups),
        "assessment_status": row.status,
        "assessment_reason": row.reason,
        "partial": row.partial,
        "max_risk_level": row.max_risk_level,
        "process_seconds": round(row.process_seconds, 4),
        "model": row.model,
    }


@endpoint("GET")
def one(_request: HttpRequest, user: User, frame_id: int) -> FrameDetail:
    """One frame with what was found in it and each question about it."""
    rows = FrameResult.objects.filter(camera__in=Camera.objects.visible_to(user)).prefetch_related("assessments")
    row = rows.filter(pk=frame_id).first()
    if row is None:
        raise Refused(404, _("There is no such frame any more, or you may not see its camera."))
    asked = sorted(row.assessments.all(), key=lambda each: each.group_index)
    shown = compose.detection_result(row, asked, supported=())
    return FrameDetail(
        **_facts(row),
        detected_objects=shown.detected_objects,
        traffic_groups=shown.traffic_groups,
        assessments=[_assessment(each) for each in asked],
    )


@endpoint("GET")
def assessments(_request: HttpRequest, user: User, query: Assessments) -> Paged[AssessmentAnswer]:
    """The questions about the cameras that the user may see, newest first."""
    rows = Assessment.objects.filter(camera__in=Camera.objects.visible_to(user)).defer("raw_text")
    wanted = {"status": query.status, "risk_level": query.level, "risk_type": query.type, "judged_by": query.judged_by}
    return BY_CREATION.page(query.narrow(rows, "created_at").filter(**chosen(wanted)), query, _assessment)


def _assessment(row: Assessment) -> AssessmentAnswer:
    return AssessmentAnswer(**_outcome(row))


def _outcome(row: Assessment) -> dict[str, object]:
    return {
        **{name: getattr(row, name) for name in _AS_KEPT},
        "assessment_id": row.pk,
        "frame_id": row.frame_result_id,
        "created_at": spell(row.created_at),
        "ended_at": spell(row.ended_at) if row.ended_at else None,
        "prior_reason": row.prior_reason or None,
        "risk_level": row.risk_level or None,
        "risk_type": row.risk_type or None,
    }


@endpoint("GET")
def one_assessment(_request: HttpRequest, user: User, assessment_id: int) -> AssessmentDetail:
    """One question with the model's words and the evidence that was kept."""
    pictures = Prefetch("evidence", queryset=Evidence.objects.order_by("pk"))
    rows = Assessment.objects.filter(camera__in=Camera.objects.visible_to(user)).prefetch_related(pictures)
    row = rows.filter(pk=assessment_id).first()
    if row is None:
        raise Refused(404, _("There is no such assessment any more, or you may not see its camera."))
    evidence = [_picture(each) for each in row.evidence.all()]
    return AssessmentDetail(**_outcome(row), raw_text=row.raw_text, evidence=evidence)


def _picture(kept: Evidence) -> PictureAnswer:
    return PictureAnswer(kind=EvidenceKind(kept.kind), path=reverse("evidence", args=[kept.pk]), sha256=kept.sha256)
