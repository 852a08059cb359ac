"""What programs ask for about cameras, alerts and how well questions are answered."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _

from assessment.alerts import acknowledge
from assessment.ledger import todays_ledger
from assessment.miss_rate import MissRate, measure_miss_rates
from assessment.models import Alert
from assessment.service_level import current_ladder, measure_workload
from cameras.models import Camera
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import endpoint, envelope
from trafficmon.core.clock import spell, utc_now
from trafficmon.live import compose, publish
from trafficmon.live.messages import AlertChange

ALERTS_AT_ONCE = 100


@endpoint("GET")
def cameras(_request: HttpRequest, user: User) -> JsonResponse:
    """The cameras that the user may see, with what was last seen of each."""
    return envelope([_camera(each) for each in Camera.objects.visible_to(user).select_related("group")])


def _camera(camera: Camera) -> dict[str, object]:
    return {
        "cameraId": camera.pk,
        "name": camera.name,
        "group": camera.group.name if camera.group else None,
        "wanted": camera.wanted,
        "state": camera.state,
        "since": spell(camera.state_since) if camera.state_since else None,
        "lastFrameAt": spell(camera.last_frame_at) if camera.last_frame_at else None,
        "lastError": camera.last_error,
    }


@endpoint("GET")
def alerts(_request: HttpRequest, user: User) -> JsonResponse:
    """The newest alerts that the user may see."""
    rows = Alert.objects.visible_to(user).select_related("camera", "acknowledged_by")[:ALERTS_AT_ONCE]
    return envelope([_alert(each) for each in rows])


def _alert(alert: Alert) -> dict[str, object]:
    shown = compose.alert_message(alert, change=AlertChange.UPDATED, now=utc_now()).as_dict()
    return {name: value for name, value in shown.items() if name not in {"change", "replayed"}}


@endpoint("POST", role=Role.OPERATOR)
def acknowledge_alert(request: HttpRequest, user: User, alert_id: int) -> JsonResponse:
    """Say that the user has seen the alert; again is no mistake."""
    visible = Alert.objects.visible_to(user).select_related("camera", "acknowledged_by").filter(pk=alert_id)
    alert = visible.first()
    if alert is None:
        return envelope(code=404, msg=_("There is no such alert, or you may not see its camera."))
    with transaction.atomic():
        changed = acknowledge(alert_id, by=user, now=utc_now())
        if changed:
            audit.record(caller_of(request), "alert.acknowledge", alert)
    if changed:
        publish.publish_alert(alert_id, AlertChange.ACKNOWLEDGED)
    return envelope(_alert(visible.get()))


@endpoint("GET")
def assessment_load(_request: HttpRequest, _user: User) -> JsonResponse:
    """How well questions are answered, how far assessment is reduced, what it has cost today, what the gate misses."""
    workload, ledger = measure_workload(utc_now()), todays_ledger()
    share = workload.in_time_share
    return envelope(
        {
            "ladder": compose.ladder_part(current_ladder()).as_dict(),
            "waiting": {"urgent": workload.urgent_waiting, "others": workload.others_waiting},
            "inFlight": workload.in_flight,
            "oldestSeconds": round(workload.oldest_seconds, 1),
            "endedLastMinute": {"inTime": workload.in_time, "missed": workload.missed},
            "inTimeShare": None if share is None else round(share, 4),
            "spentToday": round(float(ledger.pool.spent), 6),
            "dailyBudget": float(ledger.pool.budget) or None,
            "budgetShare": round(ledger.budget_share, 4),
            "gate": {reason: _miss_rate(each) for reason, each in measure_miss_rates(utc_now()).items()},
        }
    )


def _miss_rate(rate: MissRate) -> dict[str, object]:
    """Of the groups left out for one reason and asked about all the same; the interval is that of 95 %."""
    low, high = rate.interval
    return {
        "sampled": rate.sampled,
        "missed": rate.missed,
        "missRate": None if rate.share is None else round(rate.share, 4),
        "missRateInterval": [round(low, 4), round(high, 4)],
    }
