"""The alert list and the page of one alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from django.contrib.auth.decorators import login_required
from django.db.models import Case, Prefetch, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from assessment.alert_policy import is_stale
from assessment.alerts import policy_of
from assessment.camera_lost import spell_duration
from assessment.models import (
    LEVEL_CHOICES,
    Alert,
    AlertEvent,
    AlertJudgement,
    AlertKind,
    Assessment,
    Evidence,
    EvidenceKind,
    Truth,
)
from assessment.models.alerts import AlertQuerySet
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.alert_actions import assignees
from trafficmon.dashboard.alert_filter import AlertFilter, Place
from trafficmon.dashboard.explaining import explain
from trafficmon.dashboard.timeline import draw_timeline

ALERTS_ON_A_PAGE = 25
EVENTS_SHOWN = 200
ROWS_ONLY = "rows"
"""The value of `part` in a URL that asks for the next rows alone, to be put under those that are there."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of the list, and where the next begins, if there is one."""

    alerts: list[Alert]
    next: Place | None


def _rows(alerts: AlertQuerySet, before: Place | None) -> Rows:
    """One query, as fast at the end of a million as at the beginning, and a fixed number for what hangs on them."""
    if before:
        alerts = alerts.before(before.at, before.row_id)
    found = list(_with_what_a_row_shows(alerts)[: ALERTS_ON_A_PAGE + 1])
    shown = found[:ALERTS_ON_A_PAGE]
    return Rows(shown, Place(shown[-1].opened_at, shown[-1].pk) if len(found) > len(shown) else None)


def _with_what_a_row_shows(alerts: AlertQuerySet) -> QuerySet[Alert]:
    # The first is the thumbnail: the traffic group where there is one, else the whole picture.
    pictures = Evidence.objects.exclude(kind=EvidenceKind.EARLIER)
    pictures = pictures.order_by(Case(When(kind=EvidenceKind.CROP, then=0), default=1), "pk")
    rows = alerts.select_related("camera", "acknowledged_by", "assigned_to").defer("track_ids", "place")
    return rows.prefetch_related(
        Prefetch("assessment", queryset=Assessment.objects.only("pk")),
        Prefetch("assessment__evidence", queryset=pictures),
        Prefetch("judgements", queryset=AlertJudgement.objects.only("alert", "truth", "right_level").order_by("pk")),
    )


@require_GET
@login_required
def alert_list(request: HttpRequest) -> HttpResponse:
    """Alerts, newest first; the next rows alone where the page asks for them as it is scrolled."""
    user = cast("User", request.user)
    narrowed = AlertFilter(request.GET, user=user, cameras=list(Camera.objects.visible_to(user).only("name")))
    alerts = narrowed.narrow()
    rows = _rows(alerts, Place.read(request.GET.get("before", "")))
    query = _query_of(request)
    context = {"rows": rows, "query": query, **_rights(user), "here": f"{request.path}?{query}"}
    if request.GET.get("part") == ROWS_ONLY:
        return render(request, "dashboard/alert_rows.html", context)
    asked = narrowed.cleaned_data if narrowed.is_valid() else {}
    context["timeline"] = draw_timeline(alerts, since=asked.get("since"), until=asked.get("until"), now=utc_now())
    context |= {"filter": narrowed, "query_without_times": _query_of(request, "since", "until")}
    context |= {"assignees": assignees() if user.may(Role.OPERATOR) else []}
    return render(request, "dashboard/alerts.html", context)


def _query_of(request: HttpRequest, *without: str) -> str:
    """The filters as a query string, to be carried from page to page; those that say nothing left out."""
    kept = request.GET.copy()
    for name in ("before", "part", *without, *(each for each in kept if not kept[each])):
        kept.pop(name, None)
    return kept.urlencode()


def _rights(user: User) -> dict[str, bool]:
    return {"may_operate": user.may(Role.OPERATOR), "may_judge": user.may(Role.SUPERVISOR)}


@require_GET
@login_required
def alert_page(request: HttpRequest, alert_id: int) -> HttpResponse:
    """One alert with what explains it, what happened to it, and what may be done."""
    user = cast("User", request.user)
    visible = Alert.objects.visible_to(user)
    shown = visible.select_related("camera", "assessment__frame_result", "acknowledged_by", "assigned_to")
    alert = get_object_or_404(shown, pk=alert_id)
    context = {"alert": alert, "here": request.path, **_rights(user), **_history(alert, user)}
    if alert.kind == AlertKind.CAMERA_LOST:
        return render(request, "dashboard/camera_lost.html", context | _loss(alert, user))
    context["stale"] = is_stale(alert.last_seen_at, utc_now(), policy_of(alert.camera))
    return render(request, "dashboard/alert.html", context | explain(alert.assessment))


def _history(alert: Alert, user: User) -> dict[str, object]:
    """What happened, the latest first, and who judged it how."""
    pictures = Prefetch("evidence", queryset=Evidence.objects.filter(kind=EvidenceKind.FRAME))
    seen = Prefetch("assessment", queryset=Assessment.objects.only("pk").prefetch_related(pictures))
    events = AlertEvent.objects.filter(alert=alert).order_by("-at", "-pk").prefetch_related(seen)
    judgements = list(AlertJudgement.objects.filter(alert=alert).select_related("judge"))
    return {
        "events": events[:EVENTS_SHOWN],
        "judgements": judgements,
        "own": next((each for each in judgements if each.judge_id == user.pk), None),
        "truths": Truth.choices,
        "levels": LEVEL_CHOICES,
        "assignees": assignees() if user.may(Role.OPERATOR) else [],
    }


def _loss(alert: Alert, user: User) -> dict[str, object]:
    """What is known of a camera that is or was gone."""
    return {
        "gone_for": spell_duration(((alert.closed_at or utc_now()) - alert.opened_at).total_seconds()),
        "may_configure": user.may_enter_admin and user.has_perm("cameras.change_camera"),
    }
