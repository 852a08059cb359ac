"""Everything known of a frame: recorded when detected, closed when its questions are answered or too late."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from assessment.assess import TURN, next_turn
from assessment.counts import add_crossings
from assessment.dead_letters import take_back_expired
from assessment.gate import Gated, Question
from assessment.hours import count_frames, count_unasked
from assessment.models import Alert, AlertEvent, Assessment, AssessmentQuerySet, DeadLetter, Evidence, FrameResult
from assessment.risk import AssessmentStatus, RiskLevel, highest
from assessment.unasked import count_gated, pack_skipped, packed_prior, verdicts_without_a_model
from detection.detections import DetectedFrame
from detection.packing import pack_detections, pack_groups, unpack_detections, unpack_groups
from trafficmon.core import metrics, tracing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the questions of a frame come to together."""

    status: AssessmentStatus
    level: RiskLevel
    partial: bool


def record_frame(
    frame: DetectedFrame,
    gated: Gated,
    *,
    now: datetime,
    patience: timedelta,
    along: Callable[[FrameResult], object] | None = None,
) -> FrameResult | None:
    """Store the frame, its questions and verdicts and its crossings in one transaction; None when it was stored before.

    A frame whose groups all have their verdicts already is still to be closed. `along` writes what goes in the same
    transaction.
    """
    judged = gated.is_judged
    row = FrameResult(
        camera_id=frame.camera_id,
        frame_key=frame.frame_key,
        captured_at=frame.captured_at,
        detected_at=now,
        deadline_at=frame.captured_at + patience,
        closed_at=None if judged else now,
        width=frame.width,
        height=frame.height,
        detections=pack_detections(frame.detections),
        traffic_groups=pack_groups(frame.groups),
        process_seconds=frame.process_seconds,
        model=frame.model,
        tracking_enabled=frame.tracking_enabled,
        burst=list(frame.burst) if judged else [],
        evidence_key=frame.evidence_key if judged else "",
        status=AssessmentStatus.PENDING if judged else AssessmentStatus.SKIPPED,
        reason=gated.reason,
        partial=gated.is_partial,
        skipped_groups=pack_skipped(gated.skipped),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _ask(row, gated, now)
            Assessment.objects.bulk_create(verdicts_without_a_model(row, gated, now))
            add_crossings(frame.crossings, at=frame.captured_at)
            if along:
                along(row)
            if not judged:
                count_unasked(row)
    except IntegrityError:
        if FrameResult.objects.filter(frame_key=frame.frame_key).exists():
            return None
        raise
    count_gated(gated)
    return row


def _ask(row: FrameResult, gated: Gated, now: datetime) -> None:
    if gated.questions:
        turn_at = next_turn(row.camera_id, now=now)
        Assessment.objects.bulk_create(
            _question(row, each, now, turn_at + number * TURN) for number, each in enumerate(gated.questions)
        )


def _question(row: FrameResult, asked: Question, now: datetime, turn_at: datetime) -> Assessment:
    return Assessment(
        frame_result=row,
        camera_id=row.camera_id,
        group_index=asked.group_index,
        urgent=asked.urgent,
        sampled_from=asked.sampled_from or "",
        **packed_prior(asked.prior),
        created_at=now,
        turn_at=turn_at,
        next_at=now,
        deadline_at=row.deadline_at,
        traceparent=tracing.traceparent(),
    )


_LOAD = f"SELECT * FROM {FrameResult._meta.db_table} WHERE id = %s"  # noqa: S608  # our own table


def load_frame(frame_result_id: int) -> DetectedFrame:
    """The frame as detection gave it, for every question anew: by a query that Django need not spell each time."""
    [row] = FrameResult.objects.raw(_LOAD, [frame_result_id])
    return detected_frame(row)


def detected_frame(row: FrameResult) -> DetectedFrame:
    """The frame as detection gave it."""
    return DetectedFrame(
        camera_id=row.camera_id,
        frame_key=row.frame_key,
        captured_at=row.captured_at,
        width=row.width,
        height=row.height,
        detections=unpack_detections(row.detections),
        groups=unpack_groups(row.traffic_groups),
        process_seconds=row.process_seconds,
        model=row.model,
        tracking_enabled=row.tracking_enabled,
        burst=tuple(row.burst),
        evidence_key=row.evidence_key,
    )


def join(answers: list[tuple[AssessmentStatus, RiskLevel | None]]) -> Outcome:
    """The most severe answer wins, whatever order they came in.

    A frame is safe (`done` and `none`) only when every question was answered so: what is not known is not safe.
    """
    level = highest(level for status, level in answers if status == AssessmentStatus.DONE and level)
    unanswered = {status for status, _level in answers if status != AssessmentStatus.DONE}
    if level != RiskLevel.NONE or not unanswered:
        return Outcome(AssessmentStatus.DONE, level, partial=bool(unanswered))
    failed = AssessmentStatus.FAILED in unanswered
    return Outcome(AssessmentStatus.FAILED if failed else AssessmentStatus.EXPIRED, RiskLevel.NONE, partial=True)


def expire_overdue(*, now: datetime, least: timedelta = timedelta(0)) -> list[int]:
    """Give up the questions whose deadline has passed, or is nearer than the `least` time in which an answer comes and
    nobody works on them; the frames they belong to."""
    passed = _expire(Assessment.objects.pending().filter(deadline_at__lte=now), "deadline passed", now)
    return passed + _expire(Assessment.objects.hopeless(now, least=least), "no time left for an answer", now)


@transaction.atomic
def _expire(questions: AssessmentQuerySet, reason: str, now: datetime) -> list[int]:
    frames = list(questions.values_list("frame_result", flat=True).distinct())
    ended = questions.update(
        status=AssessmentStatus.EXPIRED, reason=reason, ended_at=now, lease_token="", lease_until=None
    )
    if ended:
        take_back_expired(reason, now=now)
        metrics.assessments.labels(AssessmentStatus.EXPIRED, "deadline").inc(ended)
    return frames


@transaction.atomic(savepoint=False)
def close_frames(frame_result_ids: Sequence[int], *, now: datetime) -> list[FrameResult]:
    """Close those frames all of whose questions have ended; the ones that were closed by this very call, with their
    questions. The transaction holds them."""
    answered = FrameResult.objects.answered().filter(pk__in=frame_result_ids)
    # By camera, so that two who raise alerts for several cameras never wait for each other.
    rows = list(answered.skipping_locked().order_by("camera_id", "captured_at").prefetch_related("assessments"))
    by_outcome: dict[Outcome, list[FrameResult]] = {}
    for row in rows:
        by_outcome.setdefault(_outcome_of(row), []).append(row)
    for outcome, alike in by_outcome.items():
        _close(alike, outcome, now)
    count_frames(rows)
    return rows


def _close(rows: Sequence[FrameResult], outcome: Outcome, now: datetime) -> None:
    changes = {"status": outcome.status, "max_risk_level": outcome.level, "partial": outcome.partial, "closed_at": now}
    FrameResult.objects.filter(pk__in=[row.pk for row in rows]).update(**changes)
    for row, (name, value) in itertools.product(rows, changes.items()):
        setattr(row, name, value)


def risky_among(frame_result_ids: Sequence[int]) -> set[int]:
    """Those of the frames that show a risk, of which alerts may come."""
    risky = Assessment.objects.filter(status=AssessmentStatus.DONE).exclude(risk_level=RiskLevel.NONE)
    return set(risky.filter(frame_result__in=frame_result_ids).values_list("frame_result", flat=True))


def _outcome_of(row: FrameResult) -> Outcome:
    """What its questions come to. It may be partial from the start, for want of a question."""
    answers = [
        (AssessmentStatus(each.status), RiskLevel(each.risk_level) if each.risk_level else None)
        for each in row.assessments.all()
    ]
    outcome = join(answers)
    return replace(outcome, partial=outcome.partial or row.partial)


def forget_frames(before: Mapping[RiskLevel, datetime], *, most: int = 1000) -> int:
    """Delete up to `most` frames older than what their level says, with their pictures; how many went.

    One that waits for an answer is kept as long as any other: what it shows is not known yet.
    """
    aged = functools.reduce(operator.or_, (Q(max_risk_level=level, captured_at__lt=at) for level, at in before.items()))
    known = aged & ~Q(status=AssessmentStatus.PENDING)
    old = FrameResult.objects.filter(known | Q(captured_at__lt=min(before.values()))).order_by("captured_at")
    return delete_frames(old, most=most)


def delete_frames(rows: QuerySet[FrameResult], *, most: int = 1000) -> int:
    """Delete the first `most` of the frames with all that hangs on them, pictures included; how many went."""
    keys = list(rows.values_list("pk", flat=True)[:most])
    questions = Assessment.objects.filter(frame_result__in=keys)
    pictures = list(Evidence.objects.filter(assessment__in=questions).values_list("picture", flat=True))
    with transaction.atomic():
        Alert.objects.filter(assessment__in=questions).update(assessment=None)
        AlertEvent.objects.filter(assessment__in=questions).update(assessment=None)
        Evidence.objects.filter(assessment__in=questions).delete()
        Assessment.objects.filter(reused_from__in=questions).update(reused_from=None)
        DeadLetter.objects.filter(assessment__in=questions).delete()
        # What hangs on these rows is gone by now; delete() would load each of them to look.
        questions._raw_delete(questions.db)
        frames = FrameResult.objects.filter(pk__in=keys)
        frames._raw_delete(frames.db)
    for name in pictures:
        default_storage.delete(name)
    return len(keys)
