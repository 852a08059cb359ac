"""What is kept: what is known of frames, questions and their outcomes, alerts, counts, keys, what was spent."""

from __future__ import annotations

from assessment.models.alerts import Alert, AlertKind, AlertState
from assessment.models.choices import (
    JUDGED_BY_CHOICES,
    LEVEL_CHOICES,
    PRIOR_CHOICES,
    SKIP_CHOICES,
    STATUS_CHOICES,
    TYPE_CHOICES,
)
from assessment.models.counts import LineCount
from assessment.models.days import CameraDay, FleetDay
from assessment.models.dead_letters import DeadLetter, DeadLetterState
from assessment.models.frames import Assessment, AssessmentQuerySet, Evidence, EvidenceKind, FrameResult
from assessment.models.hours import CameraHour, FleetHour
from assessment.models.ledger import ModelPrice, Spending
from assessment.models.pool import Account, ApiKey, CameraRoute, ModelLimit, PoolPolicy
from assessment.models.review import AlertEvent, AlertJudgement, EventKind, Truth

__all__ = [
    "JUDGED_BY_CHOICES",
    "LEVEL_CHOICES",
    "PRIOR_CHOICES",
    "SKIP_CHOICES",
    "STATUS_CHOICES",
    "TYPE_CHOICES",
    "Account",
    "Alert",
    "AlertEvent",
    "AlertJudgement",
    "AlertKind",
    "AlertState",
    "ApiKey",
    "Assessment",
    "AssessmentQuerySet",
    "CameraDay",
    "CameraHour",
    "CameraRoute",
    "DeadLetter",
    "DeadLetterState",
    "EventKind",
    "Evidence",
    "EvidenceKind",
    "FleetDay",
    "FleetHour",
    "FrameResult",
    "LineCount",
    "ModelLimit",
    "ModelPrice",
    "PoolPolicy",
    "Spending",
    "Truth",
]
