"""How many alerts there were when: a bar for each hour of a day or up to three, each a way to that part of the list."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count
from django.db.models.functions import TruncHour
from django.utils import timezone

from assessment.models.alerts import AlertQuerySet
from assessment.risk import RiskLevel

HOUR = timedelta(hours=1)
USUAL, LONGEST = timedelta(hours=24), timedelta(days=3)
"""More would have the database count too much for a page that is opened all day."""
HEIGHT, WIDTH = 100, 10
"""Of the drawing and of one bar in it."""
_SHOWN = (RiskLevel.HIGH, RiskLevel.MEDIUM, RiskLevel.LOW)


@dataclass(frozen=True, slots=True)
class Part:
    """The alerts of one level in a bar, as a rectangle."""

    level: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """The alerts opened between two moments."""

    x: int
    since: datetime
    until: datetime
    total: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars without a gap, the oldest first."""

    bars: list[Bar] = field(default_factory=list)

    @property
    def width(self) -> int:
        return WIDTH * len(self.bars)

    @property
    def total(self) -> int:
        return sum(bar.total for bar in self.bars)


def draw_timeline(alerts: AlertQuerySet, *, since: datetime | None, until: datetime | None, now: datetime) -> Timeline:
    """Of the part of `alerts` between two moments, of the last day where none is given, and of three days at most."""
    end = until or now
    begin = max(since or end - USUAL, end - LONGEST)
    hours = _count_by_hour(alerts.filter(opened_at__gte=begin, opened_at__lt=end))
    starts = _starts(begin, end)
    counts = [hours[start] for start in starts]
    most = max((each.total() for each in counts), default=0)
    return Timeline(
        [
            Bar(WIDTH * place, start, start + HOUR, count.total(), _parts(count, most))
            for place, (start, count) in enumerate(zip(starts, counts, strict=True))
        ]
    )


def _count_by_hour(alerts: AlertQuerySet) -> Mapping[datetime, Counter[str]]:
    counted: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    rows = alerts.order_by().values(hour=TruncHour("opened_at")).annotate(alerts=Count("pk"))
    for hour, level, count in rows.values_list("hour", "risk_level", "alerts"):
        counted[hour][level] += count
    return counted


def _starts(begin: datetime, end: datetime) -> list[datetime]:
    first = timezone.localtime(begin).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    count = -((first - end) // HOUR) if end > first else 0
    return [first + number * HOUR for number in range(count)]


def _parts(count: Counter[str], most: int) -> tuple[Part, ...]:
    """The gravest at the bottom, as tall as they are many; none so small that it is not seen."""
    parts, top = [], HEIGHT
    for level in _SHOWN:
        if count[level]:
            height = max(round(HEIGHT * count[level] / most), 3)
            top -= height
            parts.append(Part(level, top, height))
    return tuple(parts)
