"""Cameras that are taken away: stopped and hidden at once, while their history is deleted a little at a time."""

from __future__ import annotations

from datetime import datetime

from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat, Substr

from cameras.models import Camera, CameraQuerySet, Wanted

_LONGEST = 75
"""Of a name, so that it fits with what is added."""


def remove(cameras: CameraQuerySet, *, now: datetime) -> int:
    """Nobody sees them any more, and others may have their names; how many they are.

    What is known of them goes by `assessment.forgetting.forget_removed`.
    """
    name = Concat(Substr("name", 1, _LONGEST), Value(" (removed "), Cast("pk", CharField()), Value(")"))
    return cameras.update(removed_at=now, wanted=Wanted.STOPPED, name=name)


def removed_numbers() -> list[int]:
    """Of the cameras whose history is not deleted yet, which mostly are none."""
    return list(Camera.with_removed.filter(removed_at__isnull=False).values_list("pk", flat=True))
