"""What people read for the codes that programs use."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from assessment.models import LEVEL_CHOICES, STATUS_CHOICES, TYPE_CHOICES
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.class_words import CLASS_WORDS
from detection.detections import Detection, TrafficGroup
from trafficmon.core.objects import ObjectClass

_REASONS = {
    "no_key": _("no API key is configured"),
    "no_pool": _("the database of accounts and keys could not be read"),
    "interrupted": _("stopped before an answer came"),
    "timeout": _("no answer in time"),
    "unreachable": _("the provider could not be reached"),
    "rate_limited": _("too many requests"),
    "burst_limited": _("requests grew too quickly"),
    "token_limited": _("too many tokens"),
    "billing": _("the account is not paid"),
    "revoked": _("the key is not accepted"),
    "blocked": _("refused by the provider's inspection"),
    "bad_request": _("refused as wrong by the provider"),
    "overloaded": _("the model is overloaded"),
    "provider_error": _("the provider failed"),
    "empty_response": _("an empty answer"),
    "unreadable_answer": _("an answer that cannot be read"),
}
_LEVELS = dict(LEVEL_CHOICES)
_STATUSES = dict(STATUS_CHOICES)
_TYPES = dict(TYPE_CHOICES)


def of_class(object_class: ObjectClass) -> str:
    return str(CLASS_WORDS[object_class])


def of_level(level: RiskLevel) -> str:
    return str(_LEVELS[level.value])


def of_status(status: AssessmentStatus) -> str:
    return str(_STATUSES[status.value])


def of_type(risk_type: RiskType) -> str:
    return str(_TYPES[risk_type.value])


def of_reason(reason: str) -> str:
    """A failure in words; its code where there are none."""
    return str(_REASONS.get(reason, reason))


def of_object(detection: Detection) -> str:
    """The label on a picture: its class, and its identity where that is confirmed."""
    name = of_class(detection.object_class)
    return f"{name} {detection.track_id}" if detection.track_id is not None else name


def of_group(group: TrafficGroup, level: RiskLevel | None) -> str:
    """The label on a picture: its number, and its risk where that is known."""
    name = str(_("Group")) + f" {group.index}"
    return f"{name} · {of_level(level)}" if level else name
