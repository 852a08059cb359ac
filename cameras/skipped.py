"""What cameras skipped lately, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import redis
from django.utils.translation import gettext_lazy as _

from cameras.frames import connect_redis
from cameras.load import skipped_of

SKIPPED_NAMES = {
    "superseded": _("a newer picture came first"),
    "stale": _("too old when its turn came"),
    "lost": _("picture gone from Redis"),
    "unreadable": _("picture damaged"),
    "failed": _("detection failed"),
    "worker_lost": _("its worker died"),
    "behind": _("capture cannot keep up"),
    "late": _("its stream lags"),
}
"""What the reasons of `frames_dropped_total` are called; others are shown by their code."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many frames were given up since a moment, by reasons in words."""

    since: datetime
    counts: tuple[tuple[str, int], ...]


def skipped_in_words(*camera_ids: int) -> Skipped | None:
    """Of one to two hours; None where Redis does not answer."""
    try:
        since, counts = skipped_of(connect_redis(), *camera_ids)
    except redis.RedisError:
        return None
    return Skipped(since, tuple((str(SKIPPED_NAMES.get(each, each)), counts[each]) for each in sorted(counts)))
