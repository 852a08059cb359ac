"""Whole days, added up of their hours once they are over: of each camera, and of all together.

Where something of a day changes later, the day is no longer current from the same transaction on, and is added up again
within a minute; until then hours and rows are read. What is deleted later (an old alert, a counting line) changes no
day: it keeps what was counted before, unless something else has it added up again.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from assessment.hour_reading import COLUMNS, Crossed, hours_of_fleet, read_tally
from assessment.hours import HOUR, columns_of, first_hour_known, lock_hours, settled_until
from assessment.judged import Facts, facts_of
from assessment.ledger import day_of
from assessment.models import Alert, AlertJudgement, AlertKind, CameraDay, CameraHour, FleetDay, LineCount, Spending
from assessment.stretches import Stretch, any_of
from assessment.tally import Tally, add_up, hour_of
from trafficmon.pruning import SECONDS, in_time


def begin_of(day: date) -> datetime:
    """When a day of the configured time zone begins: at midnight, or with the first whole hour after it where the zone
    is half an hour off."""
    midnight = timezone.make_aware(datetime.combine(day, time.min), timezone.get_default_timezone())
    hour = hour_of(midnight.astimezone(UTC))
    return (hour if hour == midnight else hour + HOUR).astimezone(midnight.tzinfo)


def days_between(first: datetime, before: datetime) -> list[Stretch]:
    """The days that are wholly in that time, the oldest first."""
    begins = [begin_of(day_of(first) + timedelta(days=number)) for number in range((before - first).days + 3)]
    days = [(since.astimezone(UTC), end.astimezone(UTC)) for since, end in itertools.pairwise(begins)]
    return [(since, end) for since, end in days if first <= since and end <= before]


def add_up_days(*, now: datetime, seconds: float = SECONDS) -> int:
    """Add up the days that are over and were not yet, or have changed since, the newest first, until the time is over;
    how many.

    Whoever closes a frame of an hour meanwhile waits for one day: about a second on a busy machine. Days of another
    time zone, which was configured before, go.
    """
    first = first_hour_known()
    wanted = days_between(first, settled_until(now)) if first else []
    rows = FleetDay.objects.values_list("pk", "since", "before", "is_current")
    known = {(since, before): pk for pk, since, before, is_current in rows if is_current and (since, before) in wanted}
    FleetDay.objects.exclude(pk__in=known.values()).delete()
    added = 0
    for day in in_time((day for day in reversed(wanted) if day not in known), seconds=seconds / 2):
        _add_up(day)
        added += 1
    changed = FleetDay.objects.filter(judged__isnull=True).order_by("-since").values_list("pk", flat=True)
    for pk in in_time(list(changed), seconds=seconds / 2):
        _judge_again(pk)
    return added


def add_up_again() -> int:
    """Have all days added up again, as what ran before an update may have changed them unmarked; how many."""
    return FleetDay.objects.filter(is_current=True).update(is_current=False)


@transaction.atomic
def _add_up(day: Stretch) -> None:
    """Nobody adds to any hour, or changes what the day tells, meanwhile: what comes later finds the row."""
    lock_hours()
    hours = hours_of_fleet(*day)
    crossings: Counter[Crossed] = Counter()
    for hour in hours:
        crossings.update(hour.crossings)
    row = FleetDay.objects.create(
        since=day[0],
        before=day[1],
        **columns_of(add_up(hour.tally for hour in hours)),
        crossings=_packed(crossings),
        judged=_judged(day),
        **_spent(day),
    )
    cameras = _cameras(day)
    CameraDay.objects.bulk_create(CameraDay(day=row, camera_id=each, **cameras[each].columns) for each in cameras)


@transaction.atomic
def _judge_again(pk: int) -> None:
    lock_hours()
    for day in FleetDay.objects.filter(pk=pk):
        FleetDay.objects.filter(pk=pk).update(judged=_judged((day.since, day.before)))


def _judged(day: Stretch) -> Facts:
    return facts_of(AlertJudgement.objects.filter(any_of("opened_at", [day])))


def _spent(day: Stretch) -> dict[str, Any]:
    columns = ("calls", "failed_calls", "cost")
    return Spending.objects.filter(day=day_of(day[0])).aggregate(**{each: Sum(each, default=0) for each in columns})


@dataclass(slots=True)
class _CameraDay:
    """Of one camera."""

    tally: Tally = field(default_factory=Tally)
    crossings: Counter[Crossed] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)

    @property
    def columns(self) -> dict[str, object]:
        """As a row keeps it."""
        crossed: Counter[str] = Counter()
        for (_hour, kind, _way), count in self.crossings.items():
            crossed[kind] += count
        return {**columns_of(self.tally), **self.alerts, "crossings": _packed(self.crossings), "crossed": crossed}


def _cameras(day: Stretch) -> dict[int, _CameraDay]:
    found: defaultdict[int, _CameraDay] = defaultdict(_CameraDay)
    for camera_id, *figures in CameraHour.objects.filter(any_of("hour", [day])).values_list("camera", *COLUMNS):
        found[camera_id].tally.add(read_tally(figures))
    counts = LineCount.objects.filter(any_of("hour", [day])).order_by()
    told = counts.values_list("line__camera", "hour", "object_class", "direction").annotate(Sum("count"))
    for camera_id, hour, kind, way, count in told:
        found[camera_id].crossings[timezone.localtime(hour).hour, kind, way] += count
    opened = Alert.objects.filter(any_of("opened_at", [day])).order_by()
    for camera_id, kind, level, count in opened.values_list("camera", "kind", "risk_level").annotate(Count("pk")):
        found[camera_id].alerts[f"dangers_{level}" if kind == AlertKind.DANGER else "times_lost"] += count
    return dict(found)


def _packed(crossings: Counter[Crossed]) -> list[list[Any]]:
    """Rows of a class, a direction, and the counts of each hour of the day."""
    kinds = sorted({(kind, way) for _hour, kind, way in crossings})
    return [[kind, way, [crossings[hour, kind, way] for hour in range(24)]] for kind, way in kinds]
