"""What programs ask for. Every answer but the flat health is the envelope `{"code", "msg", "data"}`."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path, re_path
from django.utils.translation import gettext as _

from trafficmon.api import (
    alerts,
    camera_writing,
    cameras,
    dead_letters,
    frames,
    health,
    live,
    metrics,
    pool,
    statistics,
    watching,
    zone_writing,
)
from trafficmon.api.answers import by_method, envelope


def unknown(_request: HttpRequest) -> JsonResponse:
    return envelope(code=404, msg=_("There is nothing at this address."))


urlpatterns = [
    path("api/health/health_check", health.health),
    path("health/health_check", health.flat_health),
    path("metrics", metrics.scrape, name="metrics"),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("health/fleet", health.fleet),
    path("api/cameras", by_method(cameras.listed, camera_writing.create), name="api-cameras"),
    path(
        "api/cameras/<int:camera_id>",
        by_method(cameras.one, camera_writing.change, camera_writing.delete),
        name="api-camera",
    ),
    path("api/zones", by_method(cameras.zones, zone_writing.create), name="api-zones"),
    path("api/zones/<int:zone_id>", by_method(zone_writing.change, zone_writing.delete), name="api-zone"),
    path("api/lines", cameras.lines, name="api-lines"),
    path("api/frames", frames.listed, name="api-frames"),
    path("api/frames/<int:frame_id>", frames.one, name="api-frame"),
    path("api/assessments", frames.assessments, name="api-assessments"),
    path("api/assessments/<int:assessment_id>", frames.one_assessment, name="api-assessment"),
    path("api/alerts", alerts.listed, name="api-alerts"),
    path("api/alerts/<int:alert_id>", alerts.one, name="api-alert"),
    path("api/alerts/<int:alert_id>/acknowledge", alerts.acknowledge, name="api-acknowledge"),
    path("api/statistics", statistics.figures, name="api-statistics"),
    path("api/counts", statistics.counts, name="api-counts"),
    path("api/spending", statistics.spending, name="api-spending"),
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
