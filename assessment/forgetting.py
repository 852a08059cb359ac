"""What is known of cameras that were removed: deleted in batches, and the camera itself last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from assessment.calling import LONGEST_WAIT_SECONDS
from assessment.models import Alert, CameraHour, FrameResult, LineCount
from assessment.results import delete_frames
from cameras.models import Camera, StateChange
from trafficmon.pruning import in_time, prune

LEAST_SETTLING = timedelta(minutes=5)


def settling() -> timedelta:
    """In which workers end what they began before the camera was removed: the questions that had been put, too."""
    seconds = settings.ENVIRONMENT.assessment_deadline_seconds + settings.ENVIRONMENT.llm_timeout
    return max(LEAST_SETTLING, timedelta(seconds=seconds + LONGEST_WAIT_SECONDS))


def forget_removed(*, now: datetime, seconds: float) -> int:
    """Go on for so long with the cameras that were removed; of how many nothing is left."""
    until = time.monotonic() + seconds
    removed = Camera.with_removed.filter(removed_at__lte=now - settling()).order_by("removed_at")
    gone = 0
    for camera in in_time(removed.only("pk"), seconds=seconds):
        if any(time.monotonic() > until for _batch in _batches(camera)):
            break
        camera.delete()
        gone += 1
    return gone


def _batches(camera: Camera) -> Iterator[int]:
    """Delete the camera's history, one batch for each step: its alerts first, which then need not lose their pictures
    one by one."""
    while gone := prune(Alert.objects.filter(camera=camera), seconds=0):
        yield gone
    frames = FrameResult.objects.filter(camera=camera).order_by("captured_at")
    while gone := delete_frames(frames):
        yield gone
    for rows in (
        LineCount.objects.filter(line__camera=camera),
        CameraHour.objects.filter(camera=camera),
        StateChange.objects.filter(camera=camera),
    ):
        while gone := prune(rows, seconds=0):
            yield gone
