"""Alerts: listed, one by one, acknowledged."""

from __future__ import annotations

from typing import cast

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from assessment.models import Alert, AlertKind, AlertState
from assessment.risk import RiskLevel, RiskType
from cameras.models import Camera
from trafficmon.accounts.access import Caller, caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import Paged, Refused, endpoint
from trafficmon.api.paging import Order, Period, chosen
from trafficmon.core.clock import utc_now
from trafficmon.exports import acknowledging
from trafficmon.live import compose
from trafficmon.live.messages import AlertChange, AlertStanding

NEWEST_FIRST = Order("opened_at")


class Alerts(Period):
    """Which alerts: by when they were opened, and where they stand."""

    kind: AlertKind | None = None
    level: RiskLevel | None = None
    type: RiskType | None = None
    state: AlertState | None = None


def _visible(user: User) -> QuerySet[Alert]:
    rows = Alert.objects.filter(camera__in=Camera.objects.visible_to(user))
    return rows.select_related("camera", "acknowledged_by").defer("camera__source", "camera__detection_source")


@endpoint("GET")
def listed(_request: HttpRequest, user: User, query: Alerts) -> Paged[AlertStanding]:
    """The alerts that the user may see, newest first."""
    wanted = {"kind": query.kind, "risk_level": query.level, "risk_type": query.type, "state": query.state}
    rows = query.narrow(_visible(user), "opened_at").filter(**chosen(wanted))
    return NEWEST_FIRST.page(rows, query, _told)


def _told(alert: Alert) -> AlertStanding:
    shown = compose.alert_message(alert, change=AlertChange.UPDATED, now=utc_now())
    return AlertStanding.model_validate({name: getattr(shown, name) for name in AlertStanding.model_fields})


def _find(user: User, alert_id: int) -> Alert:
    alert = _visible(user).filter(pk=alert_id).first()
    if alert is None:
        raise Refused(404, _("There is no such alert, or you may not see its camera."))
    return alert


@endpoint("GET")
def one(_request: HttpRequest, user: User, alert_id: int) -> AlertStanding:
    """One alert."""
    return _told(_find(user, alert_id))


@endpoint("POST", role=Role.OPERATOR)
def acknowledge(request: HttpRequest, user: User, alert_id: int) -> AlertStanding:
    """Say that the user has seen the alert; again is no mistake."""
    alert = _find(user, alert_id)
    acknowledging.acknowledge(alert, by=cast("Caller", caller_of(request)), now=utc_now())
    return _told(_find(user, alert_id))
