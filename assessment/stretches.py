"""Stretches of time, each from one moment on to before another: what is left beside others, and as conditions."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

Stretch = tuple[datetime, datetime]
_NEVER = Q(pk__in=[])


def gaps_between(since: datetime, before: datetime, known: Iterable[Stretch]) -> list[Stretch]:
    """What is left of a time beside stretches within it that do not overlap, the oldest first."""
    gaps, at = [], since
    for begin, end in [*sorted(known), (before, before)]:
        if at < begin:
            gaps.append((at, begin))
        at = end
    return gaps


def any_of(moment: str, stretches: Iterable[Stretch]) -> Q:
    """Where `moment` is in one of them."""
    within = (Q(**{f"{moment}__gte": since, f"{moment}__lt": before}) for since, before in stretches if since < before)
    return functools.reduce(operator.or_, within, _NEVER)
