"""What is stored of a frame's groups about which no model is asked: why, or whose verdict they have instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from assessment.gate import Gated, Guess, Skipped
from assessment.models import PRIOR_CHOICES, Assessment, FrameResult
from assessment.priors import Prior, PriorReason
from assessment.risk import AssessmentStatus, JudgedBy, RiskType, RiskVerdict, SkipReason
from trafficmon.core import metrics, tracing

_TYPES = {
    PriorReason.AGAINST_LANE: RiskType.WRONG_WAY,
    PriorReason.ON_EMERGENCY_LANE: RiskType.EMERGENCY_LANE,
    PriorReason.PERSON_ON_LANE: RiskType.PEDESTRIAN_CONFLICT,
    PriorReason.STOPPED_IN_LANE: RiskType.ILLEGAL_STOP,
    PriorReason.NEAR_PERSON: RiskType.PEDESTRIAN_CONFLICT,
    PriorReason.NEAR_VEHICLE: RiskType.TAILGATING,
    PriorReason.MANY: RiskType.CONGESTION,
}
_PRIOR_WORDS = dict(PRIOR_CHOICES)
NO_PRIOR: dict[str, Any] = {"prior": None, "prior_reason": ""}


@dataclass(frozen=True, slots=True)
class Unasked:
    """One group that nobody is asked about, as it was stored."""

    group_index: int
    reason: SkipReason
    prior: float | None
    prior_reason: PriorReason


def pack_skipped(skipped: Iterable[Skipped]) -> list[list[object]]:
    """`[group, reason, prior or null, the prior's reason]` each."""
    return [[each.group_index, str(each.reason), *packed_prior(each.prior).values()] for each in skipped]


def packed_prior(prior: Prior | None) -> dict[str, Any]:
    """As an assessment keeps it."""
    return {"prior": round(prior.score, 3), "prior_reason": str(prior.reason)} if prior else NO_PRIOR


def is_partial_from_the_start(row: FrameResult) -> bool:
    """Whether something that looks dangerous enough was left out when the frame was stored (see `Gated.is_partial`)."""
    return any(each.reason is not SkipReason.LOW_PRIOR for each in unasked_of(row))


def unasked_of(row: FrameResult) -> tuple[Unasked, ...]:
    """What `pack_skipped` packed."""
    return tuple(
        Unasked(group_index, SkipReason(reason), prior, PriorReason(prior_reason))
        for group_index, reason, prior, prior_reason in row.skipped_groups
    )


def verdicts_without_a_model(row: FrameResult, gated: Gated, now: datetime) -> list[Assessment]:
    """The verdicts that the frame's groups have at once, not yet saved."""
    reused = [
        _verdict(row, each.verdict, each.prior, now, judged_by=JudgedBy.REUSE, reused_from_id=each.assessment_id)
        for each in gated.repeats
    ]
    return reused + [
        _verdict(row, guess_in_words(each), each.prior, now, judged_by=JudgedBy.GEOMETRY) for each in gated.guesses
    ]


def guess_in_words(guess: Guess) -> RiskVerdict:
    """What geometry says, as a verdict that does not pretend to be a model's."""
    because = str(_PRIOR_WORDS.get(guess.prior.reason, ""))
    risk_type = _TYPES.get(guess.prior.reason, RiskType.OTHER)
    return RiskVerdict(
        group_index=guess.group_index,
        level=guess.level,
        type=risk_type,
        description=_("Judged by geometry alone, no model was asked: %s.") % because,
        confidence=round(guess.prior.score, 3),
        risk_types=(because,),
        danger_object_count=len(guess.prior.places),
        trigger_object_ids=tuple(place + 1 for place in guess.prior.places),
    )


def _verdict(row: FrameResult, verdict: RiskVerdict, prior: Prior, now: datetime, **whose: object) -> Assessment:
    return Assessment(
        frame_result=row,
        camera_id=row.camera_id,
        group_index=verdict.group_index,
        status=AssessmentStatus.DONE,
        created_at=now,
        turn_at=now,
        next_at=now,
        deadline_at=row.deadline_at,
        traceparent=tracing.traceparent(),
        ended_at=now,
        risk_level=verdict.level,
        risk_type=verdict.type,
        description=verdict.description,
        confidence=verdict.confidence,
        risk_types=list(verdict.risk_types),
        danger_object_count=verdict.danger_object_count,
        trigger_object_ids=list(verdict.trigger_object_ids),
        **packed_prior(prior),
        **whose,
    )


def count_gated(gated: Gated) -> None:
    """Count what became of each group."""
    outcomes: Sequence[str] = [
        *("sampled" if each.sampled_from else "asked" for each in gated.questions),
        *(str(JudgedBy.REUSE) for _each in gated.repeats),
        *(str(JudgedBy.GEOMETRY) for _each in gated.guesses),
        *(str(each.reason) for each in gated.skipped),
    ]
    for outcome in outcomes:
        metrics.gate_groups.labels(outcome).inc()
    for guess in gated.guesses:
        metrics.risk_types_detected.labels(guess_in_words(guess).type).inc()
