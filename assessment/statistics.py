"""What happened at cameras in a stretch of time: frames, questions and verdicts, alerts, who crossed a line, cost.

Whole days and hours are told by their figures, which were added up when frames were closed, and by what is still open;
what is left at both ends is counted. There, of frames without a risk, only those of the last
`ALGO_FRAME_RETENTION_HOURS` are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from assessment.day_reading import CameraSums, known_days, sums_by_camera
from assessment.hours import HOUR
from assessment.models import Alert, AlertKind, Assessment, FrameResult, LineCount
from assessment.risk import AssessmentStatus, JudgedBy
from assessment.stretches import any_of, gaps_between
from assessment.tally import DONE_BY, FRAMES_BY_STATUS, UNANSWERED, VERDICTS_BY_LEVEL, Tally, hour_of
from assessment.tally import Count as Counted
from cameras.models import Camera

Numbers = dict[str, int]


@dataclass(slots=True)
class CameraStatistics:
    """Of one camera: frames and questions by how they ended, verdicts and dangers by level, crossings by class."""

    camera_id: int
    frames: Numbers = field(default_factory=dict)
    assessments: Numbers = field(default_factory=dict)
    verdicts: Numbers = field(default_factory=dict)
    dangers: Numbers = field(default_factory=dict)
    times_lost: int = 0
    crossings: Numbers = field(default_factory=dict)
    answer_seconds: float | None = None
    """On average, of those that a model answered."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A time of which is asked, and the whole hours in it, of which there may be none."""

    since: datetime
    before: datetime

    @property
    def first_hour(self) -> datetime:
        hour = hour_of(self.since)
        return hour if hour == self.since else hour + HOUR

    @property
    def last_hour(self) -> datetime:
        """The end of the last whole hour."""
        return max(self.first_hour, hour_of(self.before))

    def edges(self, moment: str) -> Q:
        """What is not in a whole hour."""
        head = (self.since, min(self.first_hour, self.before))
        return any_of(moment, [head, (min(self.last_hour, self.before), self.before)])

    def hours(self, moment: str) -> Q:
        """What is in one."""
        return any_of(moment, [(self.first_hour, self.last_hour)])


def statistics_of(cameras: QuerySet[Camera], *, since: datetime, before: datetime) -> list[CameraStatistics]:
    """Of each of the cameras, in their order, what began from `since` on and before `before`. Eleven queries."""
    found, asked = {pk: CameraStatistics(pk) for pk in cameras.values_list("pk", flat=True)}, Asked(since, before)
    known = known_days(since, before)
    sums = sums_by_camera(cameras, known, gaps_between(asked.first_hour, asked.last_hour, known.days.values()))
    tallies = {camera_id: each.tally for camera_id, each in sums.items()}
    _add_frames(found, cameras, asked, tallies)
    _add_questions(found, cameras, asked, tallies)
    _add_alerts(found, cameras, any_of("opened_at", known.gaps), sums)
    _add_crossings(found, cameras, any_of("hour", known.gaps), sums)
    return list(found.values())


def _add_frames(
    found: dict[int, CameraStatistics], cameras: QuerySet[Camera], asked: Asked, tallies: Mapping[int, Tally]
) -> None:
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for camera_id, tally in tallies.items():
        counted[camera_id].update({status: tally.counts[each] for status, each in FRAMES_BY_STATUS.items()})
    frames = FrameResult.objects.filter(camera__in=cameras)
    for rows in (frames.filter(asked.edges("captured_at")), frames.undecided().filter(asked.hours("captured_at"))):
        for camera_id, status, count in _counted(rows, "status"):
            counted[camera_id][status] += count
    for camera_id, counts in counted.items():
        found[camera_id].frames = dict(+counts)


def _add_questions(
    found: dict[int, CameraStatistics], cameras: QuerySet[Camera], asked: Asked, tallies: Mapping[int, Tally]
) -> None:
    counted: defaultdict[int, _Questions] = defaultdict(_Questions)
    for camera_id, tally in tallies.items():
        counted[camera_id].add_tally(tally)
    questions = Assessment.objects.filter(camera__in=cameras)
    undecided = questions.filter(frame_result__status=AssessmentStatus.PENDING)
    for rows in (questions.filter(asked.edges("created_at")), undecided.filter(asked.hours("created_at"))):
        told = rows.order_by().values_list("camera", "status", "risk_level", "judged_by")
        for camera_id, *kind in told.annotate(Count("pk"), Count("llm_seconds"), Sum("llm_seconds", default=0.0)):
            counted[camera_id].add_rows(*kind)
    for camera_id, each in counted.items():
        each.tell(found[camera_id])


@dataclass(slots=True)
class _Questions:
    """Of one camera."""

    by_status: Counter[str] = field(default_factory=Counter)
    by_level: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    seconds: float = 0.0

    def add_tally(self, tally: Tally) -> None:
        self.by_status[AssessmentStatus.DONE] += sum(tally.counts[each] for each in DONE_BY.values())
        self.by_status.update({status: tally.counts[each] for status, each in UNANSWERED.items()})
        self.by_level.update({level: tally.counts[each] for level, each in VERDICTS_BY_LEVEL.items()})
        self.timed += tally.counts[Counted.TIMED]
        self.seconds += tally.seconds

    def add_rows(self, *kind: Any) -> None:
        status, level, judged_by, count, timed, seconds = kind
        self.by_status[status] += count
        if status == AssessmentStatus.DONE:
            self.by_level[level] += count
            self.timed += timed if judged_by == JudgedBy.MODEL else 0
            self.seconds += seconds if judged_by == JudgedBy.MODEL else 0.0

    def tell(self, statistics: CameraStatistics) -> None:
        statistics.assessments, statistics.verdicts = dict(+self.by_status), dict(+self.by_level)
        statistics.answer_seconds = self.seconds / self.timed if self.timed else None


def _add_alerts(
    found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q, sums: Mapping[int, CameraSums]
) -> None:
    dangers = defaultdict[int, Counter[str]](Counter, {pk: each.dangers for pk, each in sums.items()})
    for camera_id, each in sums.items():
        found[camera_id].times_lost = each.times_lost
    opened = Alert.objects.filter(when, camera__in=cameras).order_by()
    for camera_id, kind, level, count in opened.values_list("camera", "kind", "risk_level").annotate(Count("pk")):
        if kind == AlertKind.DANGER:
            dangers[camera_id][level] += count
        else:
            found[camera_id].times_lost += count
    for camera_id, counts in dangers.items():
        found[camera_id].dangers = dict(+counts)


def _add_crossings(
    found: dict[int, CameraStatistics], cameras: QuerySet[Camera], when: Q, sums: Mapping[int, CameraSums]
) -> None:
    crossings = defaultdict[int, Counter[str]](Counter, {pk: each.crossings for pk, each in sums.items()})
    rows = LineCount.objects.filter(when, line__camera__in=cameras).order_by()
    for camera_id, object_class, count in rows.values_list("line__camera", "object_class").annotate(Sum("count")):
        crossings[camera_id][object_class] += count
    for camera_id, counts in crossings.items():
        found[camera_id].crossings = dict(counts)


def _counted(rows: QuerySet[Any], by: str) -> Iterable[tuple[int, str, int]]:
    """How many rows of each camera and kind there are."""
    counted: Iterable[tuple[int, str, int]] = rows.order_by().values_list("camera", by).annotate(Count("pk"))
    return counted
