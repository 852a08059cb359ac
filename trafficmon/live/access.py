"""Who is behind a socket and which cameras they may see, looked up anew from time to time."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.utils import timezone

from assessment.models import Alert, AlertState
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange, AlertList, AlertMessage, CameraList, CameraStatus, ListedCamera


@dataclass(frozen=True, slots=True)
class Access:
    """What one user may do at the moment it was looked up."""

    user_id: int
    may_operate: bool
    cameras: dict[int, ListedCamera]

    def listed(self) -> CameraList:
        return CameraList(cameras=tuple(self.cameras.values()))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where cameras and their live alerts stand, for a page that has just opened."""

    statuses: tuple[CameraStatus, ...]
    alerts: tuple[AlertMessage, ...]


def look_up_access(session_key: str) -> Access | None:
    """What the session's user may do now; None when it has ended or the user may no longer sign in."""
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return access_of(user) if isinstance(user, User) and user.is_active else None


def access_of(user: User) -> Access:
    cameras = Camera.objects.visible_to(user).only("pk", "name", "frame_interval")
    return Access(
        user_id=user.pk,
        may_operate=user.may(Role.OPERATOR),
        cameras={each.pk: _listed(each) for each in cameras},
    )


def _listed(camera: Camera) -> ListedCamera:
    interval = camera.frame_interval or settings.ENVIRONMENT.frame_interval
    return ListedCamera(camera_id=camera.pk, name=camera.name, interval_seconds=interval)


def look_up_standing(camera_ids: frozenset[int]) -> Standing:
    """The state of these cameras and their live alerts, oldest alert first."""
    cameras = Camera.objects.filter(pk__in=camera_ids)
    return Standing(
        statuses=tuple(compose.camera_status(each) for each in cameras),
        alerts=look_up_alerts(camera_ids).alerts,
    )


def look_up_alerts(camera_ids: frozenset[int]) -> AlertList:
    """The live alerts of these cameras, oldest first; one query."""
    alerts = Alert.objects.live().filter(camera__in=camera_ids).select_related("camera", "acknowledged_by")
    return AlertList(alerts=tuple(_replayed(each) for each in alerts.order_by("opened_at", "pk")))


def _replayed(alert: Alert) -> AlertMessage:
    change = AlertChange.ACKNOWLEDGED if alert.state == AlertState.ACKNOWLEDGED else AlertChange.OPENED
    return compose.alert_message(alert, change=change, now=timezone.now(), replayed=True)
