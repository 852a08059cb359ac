"""The figures of hours as pages read them: of one camera, of all together, of each over a stretch of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Min, Q, QuerySet, Sum

from assessment.hours import hours_between
from assessment.models import CameraHour, FleetHour, LineCount
from assessment.tally import STEPS, Count, Tally, hour_of
from cameras.models import Camera

Crossed = tuple[str, str]
"""A class of road users and a direction."""
_STEPS = {str(step): step for step in range(STEPS + 1)}
_COLUMNS = ("hour", "seconds", "steps", *(each.value for each in Count))


@dataclass(slots=True)
class Hour:
    """What happened within an hour that begins at `at`."""

    at: datetime
    tally: Tally = field(default_factory=Tally)
    crossings: Counter[Crossed] = field(default_factory=Counter)


def hours_of_camera(camera_id: int, since: datetime, before: datetime) -> list[Hour]:
    """The hours that began in that time and of which something is known, the oldest first; two queries."""
    found: dict[datetime, Hour] = {}
    rows = CameraHour.objects.filter(camera=camera_id, hour__gte=since, hour__lt=before)
    _add_rows(found, rows.order_by("hour"))
    _add_crossings(found, Q(hour__gte=since, hour__lt=before, line__camera=camera_id))
    return [found[at] for at in sorted(found)]


def hours_of_fleet(since: datetime, before: datetime) -> list[Hour]:
    """Of all cameras together, exactly: what is not added up yet is added up here. Four queries."""
    found: dict[datetime, Hour] = {}
    totals = FleetHour.objects.filter(hour__gte=since, hour__lt=before)
    for crossings, *figures in totals.order_by("hour").values_list("crossings", *_COLUMNS):
        at, tally = _read(figures)
        found[at] = Hour(at, tally, Counter({(kind, way): count for kind, way, count in crossings}))
    first = CameraHour.objects.aggregate(Min("hour"))["hour__min"]
    begin = max(hour_of(since), first) if first else before
    missing = [at for at in hours_between(begin, before) if at not in found]
    _add_rows(found, CameraHour.objects.filter(hour__in=missing))
    _add_crossings(found, Q(hour__in=missing))
    return [found[at] for at in sorted(found)]


def _add_rows(found: dict[datetime, Hour], rows: QuerySet[CameraHour]) -> None:
    for figures in rows.values_list(*_COLUMNS):
        at, tally = _read(figures)
        found.setdefault(at, Hour(at)).tally.add(tally)


def _read(figures: Iterable[Any]) -> tuple[datetime, Tally]:
    """A row of `_COLUMNS`."""
    at, seconds, steps, *counts = figures
    tally = Tally(seconds=seconds)
    tally.counts.update({each: count for each, count in zip(Count, counts, strict=True) if count})
    tally.steps.update({_STEPS[step]: count for step, count in steps.items()})
    return at, tally


def _add_crossings(found: dict[datetime, Hour], when: Q) -> None:
    rows = LineCount.objects.filter(when).order_by().values_list("hour", "object_class", "direction")
    for at, kind, way, count in rows.annotate(Sum("count")):
        found.setdefault(at, Hour(at)).crossings[kind, way] += count


def sums_by_camera(cameras: QuerySet[Camera], since: datetime, before: datetime) -> dict[int, Tally]:
    """Of each camera what happened in the hours that began in that time, without the steps of time; one query."""
    sums = {name: Sum(name) for name in ("seconds", *(each.value for each in Count))}
    rows = CameraHour.objects.filter(hour__gte=since, hour__lt=before, camera__in=cameras).order_by()
    found: defaultdict[int, Tally] = defaultdict(Tally)
    for camera_id, seconds, *counts in rows.values("camera").annotate(**sums).values_list("camera", *sums):
        found[camera_id].seconds = seconds
        found[camera_id].counts.update(dict(zip(Count, counts, strict=True)))
    return dict(found)
