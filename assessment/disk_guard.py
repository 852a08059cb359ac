"""The disk of the pictures: the least severe, oldest evidence goes before it is full; at a floor none is written."""

from __future__ import annotations

import shutil
import time

from django.conf import settings
from django.core.files.storage import default_storage

from assessment.models import Evidence
from assessment.risk import RiskLevel

UNKNOWN = ""
"""The level of a question that has no answer: its pictures are what it can be put again with."""
GIVEN_UP_FIRST = (RiskLevel.NONE, RiskLevel.LOW, RiskLevel.MEDIUM, UNKNOWN, RiskLevel.HIGH)
AT_ONCE = 200
_MEGABYTE = 1_000_000


def free_bytes() -> int:
    """On the disk of the pictures."""
    return shutil.disk_usage(settings.MEDIA_ROOT).free


def is_full() -> bool:
    """Whether no picture is to be written any more."""
    return free_bytes() < settings.ENVIRONMENT.disk_floor_mb * _MEGABYTE


def wanted_bytes() -> int:
    """What is to be free on it."""
    return settings.ENVIRONMENT.disk_free_mb * _MEGABYTE


def is_filling_up() -> bool:
    """Whether evidence is to be given up, so that the disk does not get full."""
    return free_bytes() < wanted_bytes()


def free_space(*, seconds: float) -> int:
    """Give up evidence until there is enough space, nothing is left or the time is over; how many pictures went."""
    gone, until = 0, time.monotonic() + seconds
    for level in GIVEN_UP_FIRST:
        while is_filling_up() and time.monotonic() < until and (batch := _give_up(level)):
            gone += batch
    return gone


def _give_up(level: str) -> int:
    """The oldest pictures of verdicts of a level: first the rows, so that no page names a picture that is gone."""
    rows = list(Evidence.objects.filter(assessment__risk_level=level).order_by("pk")[:AT_ONCE])
    Evidence.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        default_storage.delete(str(row.picture))
    return len(rows)
