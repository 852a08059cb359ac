"""What programs ask for. Every answer but the flat health is the envelope `{"code", "msg", "data"}`."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from django.utils.translation import gettext as _

from trafficmon.api import dead_letters, health, live, pool, watching
from trafficmon.api.answers import envelope


def unknown(_request: HttpRequest) -> JsonResponse:
    return envelope(code=404, msg=_("There is nothing at this address."))


urlpatterns = [
    path("api/health/health_check", health.health),
    path("health/health_check", health.flat_health),
    path("api/cameras", watching.cameras, name="api-cameras"),
    path("api/alerts", watching.alerts, name="api-alerts"),
    path("api/alerts/<int:alert_id>/acknowledge", watching.acknowledge_alert, name="api-acknowledge"),
    path("api/live/ticket", live.ticket, name="api-live-ticket"),
    path("api/assessment/load", watching.assessment_load, name="api-assessment-load"),
    path("api/keys", pool.keys_now, name="api-keys"),
    path("api/keys/<str:slug>/disable", pool.disable_key, name="api-key-disable"),
    path("api/keys/<str:slug>/enable", pool.enable_key, name="api-key-enable"),
    path("api/accounts/<str:slug>/disable", pool.disable_account, name="api-account-disable"),
    path("api/accounts/<str:slug>/enable", pool.enable_account, name="api-account-enable"),
    path("api/dead-letters", dead_letters.listed, name="api-dead-letters"),
    path("api/dead-letters/send-again", dead_letters.send_again, name="api-dead-letters-send-again"),
    path("api/dead-letters/drop", dead_letters.drop, name="api-dead-letters-drop"),
    re_path(r"^api/", unknown),
]
