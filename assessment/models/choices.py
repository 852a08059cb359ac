"""What people are shown for the closed sets, and the constraints that keep the database to them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.risk import AssessmentStatus, RiskLevel, RiskType

STATUS_CHOICES = [
    (AssessmentStatus.PENDING.value, _("assessing")),
    (AssessmentStatus.DONE.value, _("assessed")),
    (AssessmentStatus.FAILED.value, _("failed")),
    (AssessmentStatus.EXPIRED.value, _("expired")),
    (AssessmentStatus.SKIPPED.value, _("not asked")),
]
LEVEL_CHOICES = [
    (RiskLevel.NONE.value, _("none")),
    (RiskLevel.LOW.value, _("low")),
    (RiskLevel.MEDIUM.value, _("medium")),
    (RiskLevel.HIGH.value, _("high")),
]
TYPE_CHOICES = [
    (RiskType.TAILGATING.value, _("following too closely")),
    (RiskType.UNSAFE_LANE_CHANGE.value, _("unsafe lane change")),
    (RiskType.EMERGENCY_LANE.value, _("driving in the emergency lane")),
    (RiskType.RED_LIGHT.value, _("running a red light")),
    (RiskType.WRONG_WAY.value, _("wrong way")),
    (RiskType.PEDESTRIAN_CONFLICT.value, _("conflict with a pedestrian")),
    (RiskType.COLLISION.value, _("collision")),
    (RiskType.ILLEGAL_STOP.value, _("stopped where it must not")),
    (RiskType.SPEEDING.value, _("speeding")),
    (RiskType.CONGESTION.value, _("congestion")),
    (RiskType.OTHER.value, _("other")),
]


def known(field: str, choices: Sequence[tuple[str, object]], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [value for value, _label in choices]}), name=name)
