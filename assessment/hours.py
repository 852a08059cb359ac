"""The figures of hours: added to when a frame is closed, in the transaction that closes it, so that they are exact.

Each frame is closed once. Where a question is put again, what its frame had added is taken back until it is closed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Min, Sum

from assessment.models import Assessment, CameraHour, FleetDay, FleetHour, FrameResult, LineCount
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel
from assessment.tally import ClosedFrame, Count, EndedQuestion, Tally, add_up, hour_of, tally_frame
from assessment.unasked import unasked_of
from cameras.models import Camera
from trafficmon.pruning import SECONDS, in_time, prune

HOUR = timedelta(hours=1)
UNSETTLED = timedelta(hours=2)
"""An hour that began so lately is not added up over the cameras: frames of it are still being closed."""
_COLUMNS = [each.value for each in Count]
Place = tuple[int, datetime]
"""A camera's number and the beginning of an hour."""


def _adding() -> str:
    """The statement that adds to a row or makes it, and says what is needed of it: PostgreSQL and SQLite alike.

    A camera that was just deleted has no hours. `steps` is read under the lock that the statement has taken.
    """
    rows, totals, days, cameras = (each._meta.db_table for each in (CameraHour, FleetHour, FleetDay, Camera))
    columns = [*_COLUMNS, "seconds"]
    return f"""
INSERT INTO {rows} (camera_id, hour, {", ".join(columns)}, steps)
SELECT id, %s, {", ".join(["%s"] * len(columns))}, '{{}}' FROM {cameras} WHERE id = %s
ON CONFLICT (camera_id, hour) DO UPDATE SET {", ".join(f"{each} = {rows}.{each} + excluded.{each}" for each in columns)}
RETURNING id, steps, EXISTS (SELECT 1 FROM {totals} WHERE {totals}.hour = {rows}.hour)
    OR EXISTS (SELECT 1 FROM {days} WHERE {days}.since <= {rows}.hour AND {days}.before > {rows}.hour)
"""  # noqa: S608  # names of our own tables and columns


def count_frames(frames: Iterable[FrameResult], *, sign: int = 1) -> None:
    """Add closed frames to their hours, or take them back with the sign -1; to be called in the transaction that closes
    or reopens them. Their questions should be prefetched."""
    added: dict[Place, Tally] = {}
    for frame in frames:
        for hour, tally in tally_frame(as_closed(frame)).items():
            added.setdefault((frame.camera_id, hour), Tally()).add(tally, sign)
    _add_all(added)


def count_unasked(frame: FrameResult) -> None:
    """Add a frame that is closed as it is stored, for nothing is asked about it."""
    tallies = tally_frame(_closed(frame, ()))
    _add_all({(frame.camera_id, hour): tally for hour, tally in tallies.items()})


def as_closed(frame: FrameResult) -> ClosedFrame:
    """What counts of a frame and its questions."""
    return _closed(frame, [_ended(each) for each in frame.assessments.all()])


def _closed(frame: FrameResult, questions: Sequence[EndedQuestion]) -> ClosedFrame:
    left_out = [each.reason for each in unasked_of(frame)]
    return ClosedFrame(frame.captured_at, AssessmentStatus(frame.status), left_out, questions)


def _ended(question: Assessment) -> EndedQuestion:
    return EndedQuestion(
        created_at=question.created_at,
        status=AssessmentStatus(question.status),
        judged_by=JudgedBy(question.judged_by),
        level=RiskLevel(question.risk_level) if question.risk_level else None,
        sampled=bool(question.sampled_from),
        seconds=question.llm_seconds,
    )


def _add_all(added: Mapping[Place, Tally]) -> None:
    """In one order everywhere, and all places before any sum: transactions that wait for each other's rows would never
    end."""
    changed = {hour for camera_id, hour in sorted(added) if _add(camera_id, hour, added[camera_id, hour])}
    _take_sums_away(sorted(changed))


def _add(camera_id: int, hour: datetime, tally: Tally) -> bool:
    """Whether the hour was added up over the cameras, or its day."""
    figures = [*(tally.counts[each] for each in Count), tally.seconds]
    with connection.cursor() as cursor:
        cursor.execute(_adding(), [connection.ops.adapt_datetimefield_value(hour), *figures, camera_id])
        row = cursor.fetchone()
    if row is None:
        return False
    number, steps, is_added_up = row
    if tally.steps:
        CameraHour.objects.filter(pk=number).update(steps=_merged(json.loads(steps), tally.steps))
    return bool(is_added_up)


def _take_sums_away(hours: Sequence[datetime]) -> None:
    for hour in hours:
        FleetHour.objects.filter(hour=hour).delete()
    for hour in hours:
        FleetDay.objects.holding(hour).update(is_current=False)


def _merged(steps: Mapping[str, int], more: Counter[int]) -> dict[str, int]:
    together = Counter({int(step): count for step, count in steps.items()})
    for step, count in more.items():
        together[step] += count
    return {str(step): together[step] for step in sorted(together) if together[step]}


def add_up_hours(*, now: datetime, seconds: float = SECONDS) -> int:
    """Add up over the cameras the hours that are over and were not yet, or have changed since, the latest first, until
    the time is over; how many."""
    until, first = settled_until(now), first_hour_known()
    if first is None or first >= until:
        return 0
    known = set(FleetHour.objects.filter(hour__gte=first).values_list("hour", flat=True))
    wanted = [hour for hour in hours_between(first, until) if hour not in known]
    added = 0
    for hour in in_time(reversed(wanted), seconds=seconds):
        _add_up(hour)
        added += 1
    return added


def settled_until(now: datetime) -> datetime:
    """The end of the last hour that may be added up over the cameras."""
    return hour_of(now) - UNSETTLED + HOUR


def first_hour_known() -> datetime | None:
    """The oldest of which anything was counted."""
    first: datetime | None = CameraHour.objects.aggregate(Min("hour"))["hour__min"]
    return first


@transaction.atomic
def _add_up(hour: datetime) -> None:
    """Nobody adds to any hour meanwhile, so that what comes later finds this row and takes it away."""
    lock_hours()
    rows = [each.tally for each in CameraHour.objects.filter(hour=hour)]
    crossed = LineCount.objects.filter(hour=hour).order_by("object_class", "direction")
    crossings = list(crossed.values_list("object_class", "direction").annotate(Sum("count")))
    row = {**columns_of(add_up(rows)), "crossings": [list(each) for each in crossings]}
    FleetHour.objects.update_or_create(hour=hour, defaults=row)


def lock_hours() -> None:
    """Wait for who adds to an hour or changes what a day tells, and let others wait until the transaction's end; SQLite
    has one writer anyway."""
    if connection.vendor == "postgresql":
        # In the order in which those who add take them.
        tables = ", ".join(each._meta.db_table for each in (CameraHour, FleetDay))
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")


def columns_of(tally: Tally) -> dict[str, object]:
    """A tally as a row keeps it."""
    steps = {str(step): count for step, count in sorted(tally.steps.items())}
    return {**{each.value: tally.counts[each] for each in Count}, "seconds": tally.seconds, "steps": steps}


def hours_between(first: datetime, before: datetime) -> list[datetime]:
    """The beginnings of the hours from the first on, those before `before`."""
    count = max(0, -((first - before) // HOUR))
    return [first + number * HOUR for number in range(count)]


@transaction.atomic
def recount_hour(hour: datetime) -> None:
    """Count an hour anew from the frames that are kept, exactly, while others go on adding."""
    lock_hours()
    counted: dict[int, Tally] = {}
    for camera_id, frame in _closed_within(hour):
        for at, tally in tally_frame(frame).items():
            if at == hour:
                counted.setdefault(camera_id, Tally()).add(tally)
    CameraHour.objects.filter(hour=hour).delete()
    _take_sums_away([hour])
    CameraHour.objects.bulk_create(
        CameraHour(camera_id=camera_id, hour=hour, **columns_of(tally)) for camera_id, tally in counted.items()
    )


def _closed_within(hour: datetime) -> Iterable[tuple[int, ClosedFrame]]:
    """The closed frames that were captured, or had a question put, within the hour."""
    closed = FrameResult.objects.exclude(status=AssessmentStatus.PENDING)
    captured = closed.filter(captured_at__gte=hour, captured_at__lt=hour + HOUR)
    asked = Assessment.objects.filter(created_at__gte=hour, created_at__lt=hour + HOUR)
    earlier = closed.filter(pk__in=asked.values("frame_result"), captured_at__lt=hour)
    later = closed.filter(pk__in=asked.values("frame_result"), captured_at__gte=hour + HOUR)
    for rows in (captured, earlier, later):
        for frame in rows.order_by().prefetch_related("assessments").iterator(chunk_size=1000):
            yield frame.camera_id, as_closed(frame)


def forget_hours(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the figures of the hours before a moment; how many rows went."""
    kinds = (CameraHour, FleetHour)
    return sum(prune(kind.objects.filter(hour__lt=before), seconds=seconds / len(kinds)) for kind in kinds)
