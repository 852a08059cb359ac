"""One question, asked once: claim the row, lend a key, call the model, store the answer under the claim."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from assessment.clients import UnableToAssess
from assessment.judge import Judgement
from assessment.models import Assessment, AssessmentQuerySet
from assessment.risk import AssessmentStatus
from trafficmon.core import metrics
from trafficmon.core.ids import new_token

STORING = timedelta(seconds=5)
"""By which a lease outlives its call, for storing the answer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An assessment that this worker alone may answer until the lease runs out."""

    assessment_id: int
    frame_result_id: int
    group_index: int
    attempts: int
    token: str
    call_seconds: float
    """How long the call may take, so that its answer can still arrive in time."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a failed call is made again."""

    most: int = 2
    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def wait(self, attempts: int, roll: float) -> timedelta:
        """Full jitter: anything up to the doubled wait; `roll` is 0 to 1."""
        return timedelta(seconds=roll * min(self.longest_seconds, self.first_seconds * 2**attempts))


def claim_next(*, now: datetime, call_seconds: float) -> Claim | None:
    """Take the most pressing question that nobody holds; None when there is none.

    A call may take `call_seconds`, or what is left to the deadline. Workers that claim at the same time pass over
    each other's rows (PostgreSQL) or wait their turn (SQLite).
    """
    with transaction.atomic():
        row = Assessment.objects.claimable(now).most_pressing_first().skipping_locked().first()
        if row is None:
            return None
        call = timedelta(seconds=min(call_seconds, (row.deadline_at - now).total_seconds()))
        token, attempts = new_token(), row.attempts + 1
        held = Assessment.objects.claimable(now).filter(pk=row.pk)
        if not held.update(lease_token=token, lease_until=now + call + STORING, attempts=attempts):
            return None
    return Claim(row.pk, row.frame_result_id, row.group_index, attempts, token, call.total_seconds())


def store_verdict(claim: Claim, judgement: Judgement, *, now: datetime) -> bool:
    """Store the answer; False when the claim was lost meanwhile, and then nothing changes."""
    verdict, answer = judgement.verdict, judgement.answer
    stored = _held(claim).update(
        status=AssessmentStatus.DONE,
        reason="",
        ended_at=now,
        lease_token="",
        lease_until=None,
        risk_level=verdict.level,
        risk_type=verdict.type,
        description=verdict.description,
        confidence=verdict.confidence,
        risk_types=list(verdict.risk_types),
        danger_object_count=verdict.danger_object_count,
        trigger_object_ids=list(verdict.trigger_object_ids),
        llm_model=answer.model,
        prompt_version=judgement.prompt_version,
        llm_seconds=answer.seconds,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        raw_text=answer.text[:20_000],
    )
    if stored:
        metrics.assessments.labels(AssessmentStatus.DONE, "").inc()
        metrics.risk_types_detected.labels(verdict.type).inc(verdict.level.severity > 0)
    return bool(stored)


def store_failure(claim: Claim, error: UnableToAssess, *, now: datetime, retries: RetryPolicy) -> bool:
    """Give the question back for another try, or end it as failed; True when it ended."""
    if error.retryable and claim.attempts <= retries.most:
        later = now + retries.wait(claim.attempts, random.random())
        _held(claim).update(lease_token="", lease_until=None, next_at=later, reason=error.reason)
        return False
    ended = _held(claim).update(
        status=AssessmentStatus.FAILED, reason=error.reason, ended_at=now, lease_token="", lease_until=None
    )
    if ended:
        metrics.assessments.labels(AssessmentStatus.FAILED, error.reason).inc()
    return bool(ended)


def _held(claim: Claim) -> AssessmentQuerySet:
    return Assessment.objects.pending().filter(pk=claim.assessment_id, lease_token=claim.token)
