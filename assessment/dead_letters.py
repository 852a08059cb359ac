"""Questions that were given up: sent again or dropped, by people, one or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from assessment.assess import next_turn
from assessment.hours import count_frames
from assessment.models import Assessment, DeadLetter, DeadLetterState, FrameResult
from assessment.risk import AssessmentStatus, RiskLevel
from assessment.unasked import is_partial_from_the_start
from cameras.models import Camera
from trafficmon.accounts.models import User

MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead letters are meant; what is left out narrows nothing."""

    ids: Sequence[int] | None = None
    """These alone: of an empty selection, none."""
    reason: str = ""
    camera_id: int | None = None
    before: datetime | None = None
    cameras: QuerySet[Camera] | None = None
    """Of these alone, where not everybody may see all."""


def waiting(chosen: Chosen) -> QuerySet[DeadLetter]:
    """Those of the chosen that nobody has dealt with, oldest first."""
    rows = DeadLetter.objects.filter(state=DeadLetterState.WAITING)
    if chosen.ids is not None:
        rows = rows.filter(pk__in=chosen.ids)
    if chosen.reason:
        rows = rows.filter(reason=chosen.reason)
    if chosen.camera_id is not None:
        rows = rows.filter(assessment__camera=chosen.camera_id)
    if chosen.cameras is not None:
        rows = rows.filter(assessment__camera__in=chosen.cameras)
    if chosen.before:
        rows = rows.filter(died_at__lt=chosen.before)
    return rows.order_by("died_at", "pk")


def send_again(chosen: Chosen, *, now: datetime, patience: timedelta, by: User | None = None) -> list[int]:
    """Put up to MOST_AT_ONCE questions again, with all their attempts; the assessments that wait now.

    Their answers come late and are labelled so: they raise no alert. One whose frame still waits for its other answers
    is left alone, for those may have to alarm.
    """
    letters = waiting(chosen).select_related("assessment")[:MOST_AT_ONCE]
    return [each.assessment_id for each in letters if _send(each, now, patience, by)]


def drop(chosen: Chosen, *, now: datetime, by: User | None = None) -> int:
    """Give up for good; how many. The assessments stay failed."""
    return sum(_end(each, DeadLetterState.DROPPED, now, by) for each in waiting(chosen)[:MOST_AT_ONCE])


def take_back_expired(why: str, *, now: datetime) -> None:
    """Let those wait again whose questions expired after they were sent again: in the transaction that ends these."""
    DeadLetter.objects.filter(state=DeadLetterState.SENT_AGAIN, assessment__status=AssessmentStatus.EXPIRED).update(
        state=DeadLetterState.WAITING,
        reason=AssessmentStatus.EXPIRED,
        detail=why,
        died_at=now,
        ended_at=None,
        ended_by=None,
    )


def _end(letter: DeadLetter, state: DeadLetterState, now: datetime, by: User | None) -> bool:
    held = DeadLetter.objects.filter(pk=letter.pk, state=DeadLetterState.WAITING)
    return bool(held.update(state=state, ended_at=now, ended_by=by))


@transaction.atomic
def _send(letter: DeadLetter, now: datetime, patience: timedelta, by: User | None) -> bool:
    frames = FrameResult.objects.select_for_update(no_key=True)
    frame = frames.filter(pk=letter.assessment.frame_result_id).first()
    if frame is None or _is_live(frame) or not _end(letter, DeadLetterState.SENT_AGAIN, now, by):
        return False
    if frame.status != AssessmentStatus.PENDING:
        count_frames([frame], sign=-1)
    _reopen(frame, letter.assessment_id, now, patience)
    return True


def _is_live(frame: FrameResult) -> bool:
    """Whether it was never closed."""
    return frame.status == AssessmentStatus.PENDING and not frame.assessments.filter(late=True).exists()


def _reopen(frame: FrameResult, assessment_id: int, now: datetime, patience: timedelta) -> None:
    """Its turn comes behind all that waits of its camera, and its time begins with it: nobody waits for the answer."""
    turn_at = next_turn(frame.camera_id, now=now, late=True)
    deadline = turn_at + patience
    Assessment.objects.filter(pk=assessment_id).update(
        status=AssessmentStatus.PENDING,
        reason="",
        urgent=False,
        attempts=0,
        takeovers=0,
        late=True,
        ended_at=None,
        turn_at=turn_at,
        next_at=now,
        deadline_at=deadline,
    )
    FrameResult.objects.filter(pk=frame.pk).update(
        status=AssessmentStatus.PENDING,
        closed_at=None,
        deadline_at=deadline,
        max_risk_level=RiskLevel.NONE,
        partial=is_partial_from_the_start(frame),
    )
