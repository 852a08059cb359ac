"""Alerts about cameras that give no pictures though they should: opened and closed by the sweep alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from assessment.alerts import AlertChange, note_event
from assessment.models import Alert, AlertKind, AlertState, EventKind, FleetDay
from assessment.risk import RiskLevel, RiskType
from cameras.models import Camera, StreamState, Wanted
from cameras.wording import in_words
from trafficmon.core.logging import mask_secrets

LEVEL = RiskLevel.LOW
"""No danger was seen, so it raises no alarm; but none can be seen, so it is not `none` either, which says that all is
well."""
_GONE = (StreamState.STALE, StreamState.OFFLINE, StreamState.CONNECTING)
"""Not online for long: where a camera stays `connecting`, capture itself has died."""


def open_lost(*, now: datetime, grace: timedelta) -> list[AlertChange]:
    """Open an alert for every camera that is to run and has been gone for longer than `grace`, once for each."""
    told = Alert.objects.cameras_lost().live().filter(camera=OuterRef("pk"))
    lost = Camera.objects.wanted_running().filter(state__in=_GONE, state_since__lte=now - grace)
    lost = lost.defer("source", "detection_source")
    return [change for camera in lost.exclude(Exists(told)).order_by("pk") if (change := _open(camera, now))]


def _open(camera: Camera, now: datetime) -> AlertChange | None:
    """None where another sweep was faster: the database holds one live alert per camera at most."""
    reason = mask_secrets(in_words(camera.last_error)) or _("It gives no pictures.")
    try:
        with transaction.atomic():
            alert = Alert.objects.create(
                kind=AlertKind.CAMERA_LOST,
                camera=camera,
                risk_level=LEVEL,
                risk_type=RiskType.OTHER,
                description=reason,
                opened_at=camera.state_since or now,
                last_seen_at=now,
            )
            FleetDay.objects.holding(alert.opened_at).update(is_current=False)
            note_event(alert.pk, EventKind.OPENED, at=alert.opened_at)
    except IntegrityError:
        return None
    return AlertChange(alert.pk, "opened", LEVEL)


def close_found(*, now: datetime) -> list[AlertChange]:
    """Close the alerts of cameras that are online again or no longer wanted, and say how long they were gone."""
    settled = Q(camera__state=StreamState.ONLINE) | Q(camera__wanted=Wanted.STOPPED)
    over = Alert.objects.cameras_lost().live().filter(settled).select_related("camera").order_by("pk")
    return [AlertChange(alert.pk, "closed", LEVEL) for alert in over if _close(alert, now)]


@transaction.atomic
def _close(alert: Alert, now: datetime) -> bool:
    gone = {"duration": spell_duration((now - alert.opened_at).total_seconds())}
    if alert.camera.wanted == Wanted.STOPPED:
        ending = _("Stopped by an operator after being gone for %(duration)s.") % gone
    else:
        ending = _("Back after %(duration)s.") % gone
    still_live = Alert.objects.live().filter(pk=alert.pk)
    closed = still_live.update(
        state=AlertState.CLOSED, closed_at=now, last_seen_at=now, description=f"{alert.description} {ending}"
    )
    if closed:
        note_event(alert.pk, EventKind.CLOSED, at=now)
    return bool(closed)


def spell_duration(seconds: float) -> str:
    """So long in words, to the second below an hour: `42 s`, `3 min 5 s`, `2 h 14 min`."""
    whole = max(round(seconds), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes_left}
    if minutes:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return _("%(seconds)d s") % {"seconds": rest}
