"""One question and its one outcome: claimed under a token, ended only under that token.

The message that wakes a worker does not say which question it takes: that is decided here, by urgency and turn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from assessment.alert_policy import ALERTING
from assessment.clients import UnableToAssess
from assessment.judge import Judgement
from assessment.models import Assessment, AssessmentQuerySet, DeadLetter
from assessment.risk import AssessmentStatus
from assessment.statements import prepared_cursor
from trafficmon.core import metrics
from trafficmon.core.ids import new_token

STORING = timedelta(seconds=5)
"""By which a lease outlives its call, for storing the answer."""
URGENT_FIRST_SHARE = 0.8
"""Of all claims. In the others the turn alone decides, so that no flood of urgent questions starves the rest."""
TURN = timedelta(seconds=1)


class WorkerLost(UnableToAssess):
    """Whoever held the question died, time and again."""

    reason = "worker_lost"
    retryable = False
    charged = False


@dataclass(frozen=True, slots=True)
class Claim:
    """An assessment that this worker alone may answer until the lease runs out."""

    assessment_id: int
    frame_result_id: int
    camera_id: int
    group_index: int
    token: str
    seconds: float
    """How long all of it may take: waiting for a key, calling, calling again."""
    attempts: int
    """Calls that have failed so far, but for throttled ones."""
    takeovers: int
    """Workers that held it and died."""
    calls: int
    last_account: str
    sampled_from: str = ""
    """Why it would have been left out, where it is asked to know what the gate misses."""
    traceparent: str = ""
    """The step that asked, where that is traced."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a failed call is made again."""

    most: int = 2
    first_seconds: float = 1.0
    longest_seconds: float = 60.0

    def wait(self, attempts: int, roll: float) -> timedelta:
        """Full jitter: anything up to the doubled wait; `roll` is 0 to 1."""
        return timedelta(seconds=roll * min(self.longest_seconds, self.first_seconds * 2**attempts))


@dataclass(frozen=True, slots=True)
class Asked:
    """Through whom the latest call of a question was made, and how many there were."""

    account: str = ""
    key: str = ""
    calls: int = 0


def next_turn(camera_id: int, *, now: datetime, late: bool = False) -> datetime:
    """When the camera's next question has its turn: the more of them wait, the later.

    One that is put again (`late`) comes after all, a live one before those, whose answers nobody waits for.
    So cameras that ask much do not crowd out those that ask little, and as turns are moments, whoever waits gets ahead
    of all that come later. (Start-time fair queueing: Goyal, Vin, Cheng, SIGCOMM 1996, with a cost of one each.)
    """
    waiting = Assessment.objects.pending().filter(camera=camera_id, late__in={False, late})
    last = waiting.order_by("-turn_at").values_list("turn_at", flat=True).first()
    return max(now, last + TURN) if last else now


_CLAIM = """
UPDATE {questions} SET
    lease_token = CASE WHEN lease_token = '' THEN '' ELSE '{taken_over}' END || %s,
    takeovers = takeovers + CASE WHEN lease_token = '' THEN 0 ELSE 1 END,
    calls = calls + CASE WHEN lease_token = '' THEN 0 ELSE 1 END,
    lease_until = %s
WHERE id = (
    SELECT id FROM {questions}
    WHERE status = 'pending' AND (lease_token = '' OR lease_until <= %s) AND next_at <= %s AND deadline_at > %s
    ORDER BY {order} LIMIT 1 {skipping_locked}
)
RETURNING id, frame_result_id, camera_id, group_index, lease_token, deadline_at,
    attempts, takeovers, calls, account, sampled_from, traceparent
"""
_URGENT_FIRST, _IN_TURN = "urgent DESC, turn_at, id", "turn_at, id"
_TAKEN_OVER = "!"
"""Before the token of a question whose holder's lease ran out. That may have cost a call of which nobody will know: it
is counted as one."""


def claim_next(*, now: datetime, seconds: float, urgent_first: bool = True, least_seconds: float = 0.0) -> Claim | None:
    """Take the most pressing question that nobody holds; None when there is none.

    The urgent come before all others, or else the turn alone decides, which is fair over the cameras. Answering may
    take `seconds`, or what is left to the deadline; what has less than `least_seconds` left is not worth beginning.
    Workers that claim at the same time pass over each other's rows (PostgreSQL) or wait their turn (SQLite).

    One statement for what is `AssessmentQuerySet.claimable`, since every question goes through here.
    """
    moments = (now + timedelta(seconds=seconds) + STORING, now, now, now + timedelta(seconds=least_seconds))
    can_skip = connection.features.has_select_for_update_skip_locked
    statement = _CLAIM.format(
        questions=Assessment._meta.db_table,
        taken_over=_TAKEN_OVER,
        order=_URGENT_FIRST if urgent_first else _IN_TURN,
        skipping_locked="FOR UPDATE SKIP LOCKED" if can_skip else "",
    )
    with prepared_cursor() as cursor:
        cursor.execute(statement, [new_token()[1:], *map(connection.ops.adapt_datetimefield_value, moments)])
        row = cursor.fetchone()
    return _claim_of(row, now, seconds) if row else None


def _claim_of(row: Sequence[Any], now: datetime, seconds: float) -> Claim:
    assessment_id, frame_result_id, camera_id, group_index, token, deadline, *others = row
    attempts, takeovers, calls, account, sampled_from, traceparent = others
    deadline = deadline.replace(tzinfo=deadline.tzinfo or UTC)  # SQLite knows no time zones
    metrics.assessments_taken_over.inc(token.startswith(_TAKEN_OVER))
    return Claim(
        assessment_id=assessment_id,
        frame_result_id=frame_result_id,
        camera_id=camera_id,
        group_index=group_index,
        token=token,
        seconds=min(seconds, (deadline - now).total_seconds()),
        attempts=attempts,
        takeovers=takeovers,
        calls=calls,
        last_account=account,
        sampled_from=sampled_from,
        traceparent=traceparent,
    )


_TOLD = (
    "account",
    "key",
    "calls",
    "risk_level",
    "risk_type",
    "description",
    "confidence",
    "risk_types",
    "danger_object_count",
    "trigger_object_ids",
    "llm_model",
    "prompt_version",
    "llm_seconds",
    "input_tokens",
    "output_tokens",
    "raw_text",
)
_STORE = f"""
UPDATE {{questions}} SET
    status = 'done', reason = '', lease_token = '', lease_until = NULL,
    ended_at = %(moment)s, late = (late OR deadline_at <= %(moment)s),
    {", ".join(f"{name} = %({name})s" for name in _TOLD)}
WHERE id = %(id)s AND status = 'pending' AND lease_token = %(token)s
"""  # noqa: S608  # of our own names
"""In one statement for `_held(claim).update(...)`, which Django takes longer to spell than PostgreSQL to run."""


def _told(claim: Claim, judgement: Judgement, asked: Asked) -> dict[str, Any]:
    """By column, in the order of _TOLD."""
    verdict, answer = judgement.verdict, judgement.answer
    return {
        "account": asked.account,
        "key": asked.key,
        "calls": claim.calls + asked.calls,
        "risk_level": verdict.level,
        "risk_type": verdict.type,
        "description": verdict.description,
        "confidence": verdict.confidence,
        "risk_types": json.dumps(verdict.risk_types),
        "danger_object_count": verdict.danger_object_count,
        "trigger_object_ids": json.dumps(verdict.trigger_object_ids),
        "llm_model": answer.model,
        "prompt_version": judgement.prompt_version,
        "llm_seconds": answer.seconds,
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "raw_text": answer.text[:20_000],
    }


def store_verdict(claim: Claim, judgement: Judgement, asked: Asked, *, now: datetime) -> bool:
    """Store the answer, as a late one where its deadline has passed; False when the claim was lost meanwhile, and then
    nothing changes."""
    verdict, moment = judgement.verdict, connection.ops.adapt_datetimefield_value(now)
    told = {"moment": moment, "id": claim.assessment_id, "token": claim.token, **_told(claim, judgement, asked)}
    with prepared_cursor() as cursor:
        cursor.execute(_STORE.format(questions=Assessment._meta.db_table), told)
        stored = cursor.rowcount
    if stored:
        metrics.assessments.labels(AssessmentStatus.DONE, "").inc()
        metrics.risk_types_detected.labels(verdict.type).inc(verdict.level.severity > 0)
        if claim.sampled_from:
            outcome = "missed" if verdict.level in ALERTING else "right"
            metrics.gate_samples.labels(claim.sampled_from, outcome).inc()
    return bool(stored)


def store_failure(claim: Claim, error: UnableToAssess, asked: Asked, *, now: datetime, retries: RetryPolicy) -> bool:
    """Give the question back for another try, or end it as failed; True when it ended.

    A failure that is not charged uses up no attempt: what bounds its tries is the deadline. To be called in a
    transaction: a question that ended has its dead letter.
    """
    attempts = claim.attempts + int(error.charged)
    kept: dict[str, Any] = {"calls": claim.calls + asked.calls, "attempts": attempts}
    if asked.calls:
        kept |= {"account": asked.account, "key": asked.key}
    if not is_last_try(claim, error, retries):
        later = max(retries.wait(attempts, random.random()), _announced_wait(error))
        _held(claim).update(lease_token="", lease_until=None, next_at=now + later, reason=error.reason, **kept)
        return False
    ended = _held(claim).update(
        status=AssessmentStatus.FAILED, reason=error.reason, ended_at=now, lease_token="", lease_until=None, **kept
    )
    if ended and error.can_be_sent_again:
        _bury(claim, error, attempts, now)
    if ended:
        metrics.assessments.labels(AssessmentStatus.FAILED, error.reason).inc()
    return bool(ended)


def is_last_try(claim: Claim, error: UnableToAssess, retries: RetryPolicy) -> bool:
    """Whether this failure ends the question."""
    return not error.retryable or claim.attempts + int(error.charged) > retries.most


def _announced_wait(error: UnableToAssess) -> timedelta:
    return timedelta(seconds=error.retry_after_seconds or 0.0)


def _bury(claim: Claim, error: UnableToAssess, attempts: int, now: datetime) -> None:
    DeadLetter.objects.update_or_create(
        assessment_id=claim.assessment_id,
        defaults={
            "reason": error.reason,
            "detail": str(error)[:300],
            "attempts": attempts + claim.takeovers,
            "died_at": now,
            "state": "waiting",
            "ended_at": None,
            "ended_by": None,
        },
    )


def _held(claim: Claim) -> AssessmentQuerySet:
    return Assessment.objects.pending().filter(pk=claim.assessment_id, lease_token=claim.token)
