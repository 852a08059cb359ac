"""What became of every question, as PostgreSQL itself noted it: a row that got an outcome twice would show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from assessment.models import Assessment, FrameResult
from assessment.risk import AssessmentStatus

_LOG = """
CREATE TABLE outcome_log (
  kind text, row_id bigint, status text, at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION log_outcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO outcome_log (kind, row_id, status) VALUES (TG_TABLE_NAME, NEW.id, NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER log_outcome AFTER UPDATE ON assessment_assessment
  FOR EACH ROW WHEN (NEW.status <> 'pending') EXECUTE FUNCTION log_outcome();
CREATE TRIGGER log_outcome AFTER UPDATE ON assessment_frameresult
  FOR EACH ROW WHEN (NEW.status <> 'pending') EXECUTE FUNCTION log_outcome();
"""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Of the questions asked since a moment, and of their frames."""

    asked: int
    by_status: dict[str, int]
    reasons: dict[str, int]
    """Of those that were not answered."""
    frames_open: int
    not_ended_once: int
    """Questions with no outcome or several."""
    not_closed_once: int
    """Frames that were closed never or several times."""
    calls: int
    """As the rows count them."""

    @property
    def answered(self) -> int:
        return self.by_status.get(AssessmentStatus.DONE, 0)


def keep_log() -> None:
    """Have the database note every change of a row that has an outcome."""
    with connection.cursor() as cursor:
        cursor.execute(_LOG)


def outcomes_since(began: datetime) -> Outcomes:
    """What became of the questions asked since `began`."""
    asked = Assessment.objects.filter(created_at__gte=began)
    frames = FrameResult.objects.filter(detected_at__gte=began)
    statuses = list(asked.values_list("pk", "status", "reason"))
    ended = _logged("assessment_assessment")
    closed = _logged("assessment_frameresult")
    return Outcomes(
        asked=len(statuses),
        by_status=dict(Counter(status for _pk, status, _reason in statuses)),
        reasons=dict(Counter(reason for _pk, status, reason in statuses if status != AssessmentStatus.DONE)),
        frames_open=frames.filter(status=AssessmentStatus.PENDING).count(),
        not_ended_once=sum(ended[pk] != 1 for pk, _status, _reason in statuses),
        not_closed_once=sum(closed[pk] != 1 for pk in frames.values_list("pk", flat=True)),
        calls=asked.aggregate(made=Sum("calls", default=0))["made"],
    )


def _logged(table: str) -> Counter[int]:
    return Counter(row_id for (row_id,) in _select("SELECT row_id FROM outcome_log WHERE kind = %s", table))


def ended_at(question: int) -> datetime | None:
    """When the question got its outcome."""
    words = "SELECT max(at) FROM outcome_log WHERE kind = 'assessment_assessment' AND row_id = %s"
    return _moment(words, question)


def last_ended(began: datetime, ended: datetime) -> datetime | None:
    """When the last of the questions asked between two moments got its outcome."""
    words = """SELECT max(at) FROM outcome_log JOIN assessment_assessment ON row_id = id
    WHERE kind = 'assessment_assessment' AND created_at BETWEEN %s AND %s"""
    return _moment(words, began, ended)


def first_answer_after(moment: datetime) -> datetime | None:
    """When the first verdict was stored after it."""
    words = "SELECT min(at) FROM outcome_log WHERE kind = 'assessment_assessment' AND status = 'done' AND at > %s"
    return _moment(words, moment)


def is_open(*, asked_before: datetime | None = None) -> bool:
    """Whether questions (asked before a moment) still wait for an outcome or their frames to be closed."""
    pending = Assessment.objects.pending()
    if asked_before:
        return pending.filter(created_at__lte=asked_before).exists()
    return pending.exists() or FrameResult.objects.undecided().exists()


def _moment(words: str, *values: datetime | int | str) -> datetime | None:
    [(found,)] = _select(words, *values)
    return found if isinstance(found, datetime) else None


def _select(words: str, *values: datetime | int | str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(words, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
