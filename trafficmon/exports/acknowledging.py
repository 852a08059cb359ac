"""An alert acknowledged by somebody: noted, exported and shown, alike by page and by API."""

from __future__ import annotations

import functools
from datetime import datetime

from django.db import transaction

from assessment import alerts
from assessment.models import Alert
from assessment.risk import RiskLevel
from trafficmon.accounts import audit
from trafficmon.accounts.access import Caller
from trafficmon.exports.outbox import note_alerts
from trafficmon.live.messages import AlertChange
from trafficmon.live.publish import publish_alert


@transaction.atomic
def acknowledge(alert: Alert, *, by: Caller, now: datetime) -> bool:
    """Say that the caller has seen the alert; False where it was not open."""
    if not alerts.acknowledge(alert.pk, by=by.user, now=now):
        return False
    audit.record(by, "alert.acknowledge", alert)
    change = AlertChange.ACKNOWLEDGED
    note_alerts([alerts.AlertChange(alert.pk, change, RiskLevel(alert.risk_level))], now=now)
    transaction.on_commit(functools.partial(publish_alert, alert.pk, change))
    return True
