"""How well alerts were judged by people: precision with its interval, by camera, prompt, hour of day and level."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, cast

from django.db.models import Count, QuerySet
from django.db.models.functions import ExtractHour

from assessment.miss_rate import wilson_interval
from assessment.models import AlertJudgement, FleetDay, Truth
from assessment.stretches import any_of, gaps_between
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

    cameras: Mapping[int | None, Precision]
    prompts: Mapping[str, Precision]
    hours: Mapping[int, Precision]
    levels: Mapping[str, Precision]

    @property
    def together(self) -> Precision:
        """Of all."""
        every = Precision()
        for each in self.levels.values():
            every.truths.update(each.truths)
            every.right_levels.update(each.right_levels)
            every.exact += each.exact
        return every


Facts = dict[str, list[list[Any]]]
"""Of how many alerts people said what, broken down in four ways: columns of keys, of what was said, and of counts."""
_WAYS = {
    "cameras": ("camera",),
    "prompts": ("prompt_version",),
    "hours": ("hour_of_day",),
    "levels": ("risk_level", "right_level"),
}


def judged_between(since: datetime, before: datetime) -> Judged:
    """Of the alerts of all cameras opened in that time; an alert counts once. Days are read as they were added up."""
    days = list(
        FleetDay.objects.within(since, before).filter(judged__isnull=False).values_list("since", "before", "judged")
    )
    known = [cast("Facts", facts) for _since, _before, facts in days]
    gaps = gaps_between(since, before, [(begin, end) for begin, end, _facts in days])
    told = _told([*known, facts_of(AlertJudgement.objects.filter(any_of("opened_at", gaps)))])
    return replace(told, cameras=_with_gone(told.cameras)) if days else told


def judged_of(cameras: QuerySet[Camera], since: datetime, before: datetime) -> Judged:
    """Of the alerts of some cameras. Four queries."""
    return _told([facts_of(AlertJudgement.objects.filter(any_of("opened_at", [(since, before)]), camera__in=cameras))])


def facts_of(judgements: QuerySet[AlertJudgement]) -> Facts:
    """What is known of them, as it can be kept as JSON; of each alert the latest counts. Four queries."""
    rows = judgements.filter(is_latest=True).order_by().annotate(hour_of_day=ExtractHour("opened_at"))
    facts: Facts = {}
    for way, columns in _WAYS.items():
        counted = rows.values_list(*columns, "truth").annotate(Count("pk"))
        facts[way] = [list(column) for column in zip(*counted, strict=True)]
    return facts


def _told(found: Iterable[Facts]) -> Judged:
    told = Judged(*(defaultdict(Precision) for _way in fields(Judged)))
    for facts in found:
        for way in ("cameras", "prompts", "hours"):
            precisions = getattr(told, way)
            for key, truth, count in zip(*facts[way], strict=True):
                precisions[key].truths[truth] += count
        for level, right, truth, count in zip(*facts["levels"], strict=True):
            _add_level(told.levels[level], level, truth, right, count)
    return told


def _add_level(precision: Precision, level: str, truth: str, right: str, count: int) -> None:
    precision.truths[truth] += count
    if right:
        precision.right_levels[right] += count
    if truth == Truth.TRUE and right == level:
        precision.exact += count


def _with_gone(found: Mapping[int | None, Precision]) -> dict[int | None, Precision]:
    """What days tell of cameras that were deleted since is what is told of none."""
    known, told = set(Camera.objects.values_list("pk", flat=True)), defaultdict[int | None, Precision](Precision)
    for key, precision in found.items():
        told[key if key in known else None].truths.update(precision.truths)
    return dict(told)
