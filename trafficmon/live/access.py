"""Who is behind a socket and which cameras they may see, looked up anew from time to time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.utils import timezone

from assessment.models import Alert, AlertState
from cameras.models import Camera
from trafficmon.accounts import tokens
from trafficmon.accounts.access import Caller
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange, AlertList, AlertMessage, CameraList, CameraStatus, ListedCamera

LONGEST_ABSENCE = timedelta(days=1)
"""Who was away for longer looks into the list of alerts."""
LONGEST_LIFE = timedelta(hours=1)
MOST_ENDED = 100
_LAST_CHANGE = {
    AlertState.OPEN: AlertChange.OPENED,
    AlertState.ACKNOWLEDGED: AlertChange.ACKNOWLEDGED,
    AlertState.CLOSED: AlertChange.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """By what a client came in: a session, or an API token whose ticket it had; and from where."""

    session_key: str | None = None
    token_id: int | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What one caller may do at the moment it was looked up; nobody may do anything."""

    caller: Caller | None = None
    cameras: Mapping[int, ListedCamera] = field(default_factory=dict)

    @property
    def user_id(self) -> int:
        """0 for nobody."""
        return self.caller.user.pk if self.caller else 0

    @property
    def may_operate(self) -> bool:
        return self.caller is not None and self.caller.may(Role.OPERATOR)

    def listed(self) -> CameraList:
        return CameraList(cameras=tuple(self.cameras.values()))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where cameras and their live alerts stand."""

    statuses: tuple[CameraStatus, ...]
    alerts: AlertList


def look_up_access(entry: Entry) -> Access | None:
    """What who came in so may do now; None when the session or token has ended or the user may no longer sign in."""
    if entry.token_id is not None:
        caller = _caller_by_token(entry.token_id, entry.address)
    else:
        caller = _caller_by_session(entry.session_key, entry.address) if entry.session_key else None
    if caller is None:
        return None
    cameras = Camera.objects.visible_to(caller.user).only("pk", "name", "frame_interval")
    return Access(caller, {each.pk: _listed(each) for each in cameras})


def _caller_by_session(session_key: str, address: str | None) -> Caller | None:
    request = HttpRequest()
    request.session = SessionStore(session_key)
    user = get_user(request)
    return Caller(user, address=address) if isinstance(user, User) and user.is_active else None


def _caller_by_token(token_id: int, address: str | None) -> Caller | None:
    token = tokens.find_by_number(token_id)
    return Caller(token.owner, token, address) if token and token.holds(Scope.LIVE) else None


def _listed(camera: Camera) -> ListedCamera:
    interval = camera.frame_interval or settings.ENVIRONMENT.frame_interval
    return ListedCamera(camera_id=camera.pk, name=camera.name, interval_seconds=interval)


def look_up_standing(camera_ids: frozenset[int]) -> Standing:
    """The state of these cameras and their live alerts, oldest alert first; two queries."""
    cameras = Camera.objects.filter(pk__in=camera_ids).only("pk", "state", "state_since", "last_error")
    alerts = Alert.objects.live().filter(camera__in=camera_ids).select_related("camera", "acknowledged_by")
    return Standing(
        statuses=tuple(compose.camera_status(each) for each in cameras),
        alerts=AlertList(alerts=tuple(_replayed(each) for each in alerts.order_by("opened_at", "pk"))),
    )


def look_up_ended(camera_ids: frozenset[int], since: datetime) -> tuple[AlertMessage, ...]:
    """The alerts of these cameras that ended since then, oldest first; of many, or of long ago, only the newest."""
    since = max(since, timezone.now() - LONGEST_ABSENCE)
    # Their opening is indexed. Who knows of one that was open for longer learns of its end from the live ones.
    ended = Alert.objects.filter(camera__in=camera_ids, closed_at__gte=since, opened_at__gte=since - LONGEST_LIFE)
    newest = ended.select_related("camera", "acknowledged_by").order_by("-opened_at", "-pk")[:MOST_ENDED]
    return tuple(_replayed(each) for each in reversed(newest))


def _replayed(alert: Alert) -> AlertMessage:
    change = _LAST_CHANGE[AlertState(alert.state)]
    return compose.alert_message(alert, change=change, now=timezone.now(), replayed=True)
