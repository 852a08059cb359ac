"""What was seen of a camera, written once per change and guarded by what is still wanted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from cameras.models import Camera, StateChange, StreamState, Wanted
from cameras.wording import NO_NEW_PICTURE
from trafficmon.pruning import SECONDS, prune

SILENT_INTERVALS = 3
"""So many intervals without a picture, and the last one is no longer taken for the present."""
LEAST_SILENCE_SECONDS = 5.0
FRAME_WRITE_SECONDS = 5.0
"""`last_frame_at` may lag behind by this much: SQLite has one writer at a time."""


@dataclass(frozen=True, slots=True)
class ReadingCost:
    """What the samples of a stream take: pictures decoded for each, share of a core, seconds between key frames."""

    decoded_per_sample: float
    decode_load: float
    key_frame_seconds: float


def silence_seconds(interval_seconds: float) -> float:
    """How long a camera may show nothing new before it is called stale."""
    return max(LEAST_SILENCE_SECONDS, SILENT_INTERVALS * interval_seconds)


def record_state(camera_id: int, state: StreamState, *, error: str = "", now: datetime) -> bool:
    """Write what was seen, and whether the state changed by it.

    A report that comes late, of a camera that is to stop or to run by now, changes nothing.
    """
    wanted = Wanted.STOPPED if state is StreamState.STOPPED else Wanted.RUNNING
    camera = Camera.objects.filter(pk=camera_id, wanted=wanted)
    short = error[: Camera._meta.get_field("last_error").max_length]
    change = StateChange(camera_id=camera_id, state=state, error=short, at=now)
    # A camera that is stale before it is offline has been gone since then.
    if state is StreamState.OFFLINE and _change(camera.filter(state=StreamState.STALE), change):
        return True
    if _change(camera.exclude(state=state), change, state_since=now):
        return True
    camera.exclude(last_error=short).update(last_error=short)
    return False


def _change(camera: QuerySet[Camera], change: StateChange, **fields: Any) -> bool:
    """Write the new state where the camera is still as `camera` wants it, and keep the change; whether it was so."""
    with transaction.atomic():
        changed = camera.update(state=change.state, last_error=change.error, **fields)
        if changed:
            change.save()
    return bool(changed)


def forget_states(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the changes of state before a moment; how many went."""
    return prune(StateChange.objects.filter(at__lt=before), seconds=seconds)


def record_frame(camera_id: int, *, at: datetime, cost: ReadingCost | None = None) -> None:
    """Write when the last picture came and what reading takes, unless that was written moments ago."""
    lagging = Q(last_frame_at=None) | Q(last_frame_at__lte=at - timedelta(seconds=FRAME_WRITE_SECONDS))
    Camera.objects.filter(lagging, pk=camera_id).update(last_frame_at=at, **(asdict(cost) if cost else {}))


def mark_stale(now: datetime, *, stretch: float = 1.0) -> list[int]:
    """Write what became of cameras whose pictures stopped while nobody said so, as when capture itself died; their ids.

    Those that are to run are stale, those that are to stop have stopped. The wait is longer than capture's own by what
    the last write may lag behind. `stretch` is by what every interval is multiplied at the time.
    """
    unsettled = Q(wanted=Wanted.RUNNING, state=StreamState.ONLINE) | Q(
        wanted=Wanted.STOPPED, state__in=(StreamState.CONNECTING, StreamState.ONLINE, StreamState.STALE)
    )
    cameras = Camera.objects.filter(unsettled).defer("source", "detection_source")
    return [camera.pk for camera in cameras if _is_silent(camera, now, stretch) and _end(camera, now)]


def _is_silent(camera: Camera, now: datetime, stretch: float) -> bool:
    interval = camera.frame_interval or settings.ENVIRONMENT.frame_interval
    last_sign_at = max(filter(None, (camera.last_frame_at, camera.state_since)), default=None)
    paused = settings.ENVIRONMENT.alert_pause_seconds + interval
    borne = max(silence_seconds(interval * stretch), paused) + 2 * FRAME_WRITE_SECONDS
    return last_sign_at is None or now - last_sign_at > timedelta(seconds=borne)


def _end(camera: Camera, now: datetime) -> bool:
    """Whether the camera was still as it was read, and is stale or stopped from now on."""
    unchanged = Camera.objects.filter(
        pk=camera.pk, wanted=camera.wanted, state=camera.state, last_frame_at=camera.last_frame_at
    )
    if camera.wanted == Wanted.STOPPED:
        change = StateChange(camera=camera, state=StreamState.STOPPED, at=now)
    else:
        change = StateChange(camera=camera, state=StreamState.STALE, error=NO_NEW_PICTURE, at=now)
    return _change(unchanged, change, state_since=now)
