"""Long times as they are read: whole days as they were added up, and the hours of what is left beside them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from assessment.days import begin_of
from assessment.hour_reading import COLUMNS, Crossed, Span, hours_of_camera, hours_of_fleet, read_tally
from assessment.ledger import day_of
from assessment.models import CameraDay, CameraHour, FleetDay, Spending
from assessment.risk import RiskLevel
from assessment.stretches import Stretch, any_of, gaps_between
from assessment.tally import Count, Tally
from cameras.models import Camera

Spent = tuple[Decimal, int, int]
"""Cost, calls, and those of them that failed."""
_SPENT = ("cost", "calls", "failed_calls")
_DANGERS = {f"dangers_{level}": level for level in (RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH)}
_FIGURES = ("seconds", *(each.value for each in Count))


@dataclass(frozen=True, slots=True)
class Known:
    """The days within a time that were added up, by their numbers."""

    since: datetime
    before: datetime
    days: dict[int, Stretch]

    @property
    def gaps(self) -> list[Stretch]:
        """The time that is left beside them."""
        return gaps_between(self.since, self.before, self.days.values())


def known_days(since: datetime, before: datetime) -> Known:
    """One query."""
    rows = FleetDay.objects.within(since, before).values_list("pk", "since", "before")
    return Known(since, before, {pk: (begin, end) for pk, begin, end in rows})


def spans_of_fleet(since: datetime, before: datetime) -> list[Span]:
    """Days of all cameras together, and hours in the gaps, the oldest first."""
    known = known_days(since, before)
    days = FleetDay.objects.filter(pk__in=known.days).order_by().values_list("since", "crossings", *COLUMNS)
    return _with_hours(days, known, hours_of_fleet)


def spans_of_camera(camera_id: int, since: datetime, before: datetime) -> list[Span]:
    """Days of one camera, and hours in the gaps, the oldest first."""
    known = known_days(since, before)
    days = CameraDay.objects.filter(camera=camera_id, day__in=known.days).order_by()
    read = days.values_list("day__since", "crossings", *COLUMNS)
    return _with_hours(read, known, lambda begin, end: hours_of_camera(camera_id, begin, end))


def _with_hours(
    days: QuerySet[Any, tuple[Any, ...]], known: Known, hours: Callable[[datetime, datetime], list[Span]]
) -> list[Span]:
    spans = [each for gap in known.gaps for each in hours(*gap)]
    for at, crossings, *figures in days:
        spans.append(Span(at, read_tally(figures), _crossed(crossings)))
    return sorted(spans, key=lambda span: span.at)


def _crossed(packed: Iterable[tuple[str, str, Iterable[int]]]) -> Counter[Crossed]:
    return Counter(
        {(hour, kind, way): count for kind, way, counts in packed for hour, count in enumerate(counts) if count}
    )


def spending_by_day(first: date, last: date, camera_id: int | None = None) -> dict[date, Spent]:
    """What was spent on each day on which anything was, for one camera or all."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    known = {} if camera_id is not None else _known_spending(first, last)
    rows = Spending.objects.filter(day__in=[day for day in days if day not in known])
    if camera_id is not None:
        rows = rows.filter(camera=camera_id)
    sums = rows.order_by().values_list("day").annotate(*(Sum(each) for each in _SPENT))
    found = {day: (cost, calls, failed) for day, cost, calls, failed in sums} | known
    return {day: found[day] for day in days if day in found and found[day][1]}


def _known_spending(first: date, last: date) -> dict[date, Spent]:
    known = FleetDay.objects.within(begin_of(first), begin_of(last + timedelta(days=1)))
    return {day_of(since): (cost, calls, failed) for since, cost, calls, failed in known.values_list("since", *_SPENT)}


@dataclass(slots=True)
class CameraSums:
    """Of one camera: what frames came to, without the steps of time; of whole days that were added up its alerts and
    crossings, too."""

    tally: Tally = field(default_factory=Tally)
    dangers: Counter[str] = field(default_factory=Counter)
    times_lost: int = 0
    crossings: Counter[str] = field(default_factory=Counter)


def sums_by_camera(cameras: QuerySet[Camera], known: Known, hours: Sequence[Stretch]) -> dict[int, CameraSums]:
    """Of each camera what happened on the known days and in further hours. Three queries."""
    found: defaultdict[int, CameraSums] = defaultdict(CameraSums)
    days = CameraDay.objects.filter(day__in=known.days, camera__in=cameras).order_by()
    for camera_id, sums in _summed(days, (*_FIGURES, *_DANGERS, "times_lost")):
        _add_figures(found[camera_id].tally, sums)
        found[camera_id].dangers.update({level: sums[name] for name, level in _DANGERS.items()})
        found[camera_id].times_lost = sums["times_lost"]
    for camera_id, crossed in days.exclude(crossed={}).values_list("camera", "crossed"):
        found[camera_id].crossings.update(crossed)
    for camera_id, sums in _summed(CameraHour.objects.filter(any_of("hour", hours), camera__in=cameras), _FIGURES):
        _add_figures(found[camera_id].tally, sums)
    return dict(found)


def _summed(rows: QuerySet[Any], columns: Sequence[str]) -> Iterable[tuple[int, dict[str, Any]]]:
    sums = rows.order_by().values("camera").annotate(**{f"sum_{each}": Sum(each) for each in columns})
    for camera_id, *figures in sums.values_list("camera", *(f"sum_{each}" for each in columns)):
        yield camera_id, dict(zip(columns, figures, strict=True))


def _add_figures(tally: Tally, sums: Mapping[str, Any]) -> None:
    tally.seconds += sums["seconds"]
    tally.counts.update({each: sums[each.value] for each in Count})
