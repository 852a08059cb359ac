"""What people are shown for the closed sets, and the constraints that keep the database to them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from assessment.priors import PriorReason
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, RiskType, SkipReason

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

JUDGED_BY_CHOICES = [
    (JudgedBy.MODEL.value, _("model")),
    (JudgedBy.REUSE.value, _("model, a moment before")),
    (JudgedBy.GEOMETRY.value, _("geometry, no model was asked")),
]
SKIP_CHOICES = [
    (SkipReason.SWITCHED_OFF.value, _("assessment is switched off")),
    (SkipReason.TOO_FEW.value, _("fewer than two road users")),
    (SkipReason.LOW_PRIOR.value, _("it does not look dangerous enough")),
    (SkipReason.COOLDOWN.value, _("the camera's cooldown has not passed")),
    (SkipReason.DUPLICATE.value, _("it looks as it did when it was judged a moment ago")),
    (SkipReason.URGENT_ONLY.value, _("assessment is reduced: only urgent groups are asked about")),
    (SkipReason.NO_MODEL.value, _("assessment is reduced: no model is asked")),
]
PRIOR_CHOICES = [
    (PriorReason.AGAINST_LANE.value, _("somebody goes against a lane")),
    (PriorReason.ON_EMERGENCY_LANE.value, _("somebody is on the emergency lane")),
    (PriorReason.PERSON_ON_LANE.value, _("somebody is on foot in a lane")),
    (PriorReason.STOPPED_IN_LANE.value, _("a vehicle has stopped in a lane")),
    (PriorReason.NEAR_PERSON.value, _("a vehicle is close to somebody on foot")),
    (PriorReason.NEAR_RIDER.value, _("a vehicle is close to somebody on two wheels")),
    (PriorReason.NEAR_VEHICLE.value, _("vehicles are close to each other")),
    (PriorReason.CLOSING.value, _("two approach each other fast")),
    (PriorReason.MANY.value, _("there are many vehicles")),
]


def known(field: str, choices: Sequence[tuple[str, object]], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [value for value, _label in choices]}), name=name)
