"""The figures of hours as they are read: of one camera, of all together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from assessment.hours import first_hour_known, hours_between
from assessment.models import CameraHour, FleetHour, LineCount
from assessment.tally import STEPS, Count, Tally, hour_of

Crossed = tuple[int, str, str]
"""An hour of the day, a class of road users and a direction."""
_STEPS = {str(step): step for step in range(STEPS + 1)}
COLUMNS = ("seconds", "steps", *(each.value for each in Count))
"""What `read_tally` reads."""


@dataclass(slots=True)
class Span:
    """What happened within an hour or a day that begins at `at`."""

    at: datetime
    tally: Tally = field(default_factory=Tally)
    crossings: Counter[Crossed] = field(default_factory=Counter)


def hours_of_camera(camera_id: int, since: datetime, before: datetime) -> list[Span]:
    """The hours that began in that time and of which something is known, the oldest first; two queries."""
    found: dict[datetime, Span] = {}
    rows = CameraHour.objects.filter(camera=camera_id, hour__gte=since, hour__lt=before)
    _add_rows(found, rows.order_by("hour"))
    _add_crossings(found, Q(hour__gte=since, hour__lt=before, line__camera=camera_id))
    return [found[at] for at in sorted(found)]


def hours_of_fleet(since: datetime, before: datetime) -> list[Span]:
    """Of all cameras together, exactly: what is not added up yet is added up here. Four queries."""
    found: dict[datetime, Span] = {}
    totals = FleetHour.objects.filter(hour__gte=since, hour__lt=before)
    for at, crossings, *figures in totals.order_by("hour").values_list("hour", "crossings", *COLUMNS):
        hour = timezone.localtime(at).hour
        found[at] = Span(at, read_tally(figures), Counter({(hour, kind, way): count for kind, way, count in crossings}))
    first = first_hour_known()
    begin = max(hour_of(since), first) if first else before
    missing = [at for at in hours_between(begin, before) if at not in found]
    _add_rows(found, CameraHour.objects.filter(hour__in=missing))
    _add_crossings(found, Q(hour__in=missing))
    return [found[at] for at in sorted(found)]


def _add_rows(found: dict[datetime, Span], rows: QuerySet[CameraHour]) -> None:
    for at, *figures in rows.values_list("hour", *COLUMNS):
        found.setdefault(at, Span(at)).tally.add(read_tally(figures))


def read_tally(figures: Iterable[Any]) -> Tally:
    """A row of `COLUMNS`."""
    seconds, steps, *counts = figures
    tally = Tally(seconds=seconds)
    tally.counts.update({each: count for each, count in zip(Count, counts, strict=True) if count})
    tally.steps.update({_STEPS[step]: count for step, count in steps.items()})
    return tally


def _add_crossings(found: dict[datetime, Span], when: Q) -> None:
    rows = LineCount.objects.filter(when).order_by().values_list("hour", "object_class", "direction")
    for at, kind, way, count in rows.annotate(Sum("count")):
        found.setdefault(at, Span(at)).crossings[timezone.localtime(at).hour, kind, way] += count
