"""How well alerts were judged by people: precision with its interval, by camera, prompt, hour of day and level."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.db.models.functions import ExtractHour

from assessment.miss_rate import wilson_interval
from assessment.models import AlertJudgement, Truth
from cameras.models import Camera


@dataclass(slots=True)
class Precision:
    """Alerts as they were judged last; who is unsure says nothing of how right it was."""

    truths: Counter[str] = field(default_factory=Counter)
    right_levels: Counter[str] = field(default_factory=Counter)
    """Which level would have been right, as far as that was said."""
    exact: int = 0
    """Those that were true, with the right level; known where this is broken down by level."""

    @property
    def judged(self) -> int:
        """Those that were found true or false."""
        return self.truths[Truth.TRUE] + self.truths[Truth.FALSE]

    @property
    def share(self) -> float | None:
        """Of them those that are true; None of none."""
        return self.truths[Truth.TRUE] / self.judged if self.judged else None

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the true share is with a certainty of 95 %, after Wilson (see `wilson_interval`)."""
        return wilson_interval(self.truths[Truth.TRUE], self.judged)


@dataclass(frozen=True, slots=True)
class Judged:
    """Precision, broken down in four ways; a camera that is gone has the number None."""

    cameras: dict[int | None, Precision]
    prompts: dict[str, Precision]
    hours: dict[int, Precision]
    levels: dict[str, Precision]

    @property
    def together(self) -> Precision:
        """Of all."""
        every = Precision()
        for each in self.levels.values():
            every.truths.update(each.truths)
            every.right_levels.update(each.right_levels)
            every.exact += each.exact
        return every


def judged_between(since: datetime, before: datetime, cameras: QuerySet[Camera] | None = None) -> Judged:
    """Of the alerts opened in that time, of some cameras or all; an alert counts once. Four queries."""
    rows = AlertJudgement.objects.filter(is_latest=True, opened_at__gte=since, opened_at__lt=before).order_by()
    if cameras is not None:
        rows = rows.filter(camera__in=cameras)
    by_hour = rows.annotate(hour_of_day=ExtractHour("opened_at"))
    return Judged(_by(rows, "camera"), _by(rows, "prompt_version"), _by(by_hour, "hour_of_day"), _by_level(rows))


def _by(rows: QuerySet[AlertJudgement], column: str) -> dict[Any, Precision]:
    found: defaultdict[Any, Precision] = defaultdict(Precision)
    for key, truth, count in rows.values_list(column, "truth").annotate(Count("pk")):
        found[key].truths[truth] += count
    return dict(found)


def _by_level(rows: QuerySet[AlertJudgement]) -> dict[str, Precision]:
    found: defaultdict[str, Precision] = defaultdict(Precision)
    for level, truth, right, count in rows.values_list("risk_level", "truth", "right_level").annotate(Count("pk")):
        found[level].truths[truth] += count
        if right:
            found[level].right_levels[right] += count
        if truth == Truth.TRUE and right == level:
            found[level].exact += count
    return dict(found)
