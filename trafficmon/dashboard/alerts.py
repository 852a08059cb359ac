"""The alert list and the page of one alert."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Case, Prefetch, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from assessment.alert_policy import is_stale
from assessment.alerts import acknowledge, policy_of
from assessment.camera_lost import spell_duration
from assessment.group_outcomes import GroupOutcome, outcomes_of
from assessment.models import LEVEL_CHOICES, Alert, AlertKind, AlertState, Assessment, Evidence, EvidenceKind
from assessment.results import detected_frame
from assessment.risk import RiskLevel
from cameras.models import Camera
from detection.detections import DetectedFrame
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.core.geometry import Box
from trafficmon.live.publish import publish_alert

ALERTS_ON_A_PAGE = 25


class AlertFilter(forms.Form):
    """What the list is narrowed to; it lives in the URL."""

    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("all kinds")), *AlertKind.choices])
    level = forms.ChoiceField(
        label=_("Level"),
        required=False,
        choices=[("", _("all levels")), *(each for each in LEVEL_CHOICES if each[0] != RiskLevel.NONE)],
    )
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("all states")), *AlertState.choices])
    camera = forms.ModelChoiceField(
        label=_("Camera"), required=False, queryset=Camera.objects.none(), empty_label=_("all cameras")
    )

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        cast("forms.ModelChoiceField[Camera]", self.fields["camera"]).queryset = Camera.objects.visible_to(user)

    def narrow(self, alerts: QuerySet[Alert]) -> QuerySet[Alert]:
        """The alerts that match; a value that means nothing matches nothing."""
        if not self.is_valid():
            return alerts.none()
        wanted = {"kind": "kind", "risk_level": "level", "state": "state", "camera": "camera"}
        chosen = {field: self.cleaned_data[name] for field, name in wanted.items() if self.cleaned_data[name]}
        return alerts.filter(**chosen)


def _shown(user: User) -> QuerySet[Alert]:
    """Visible alerts with everything a page shows of them."""
    # The first is the thumbnail: the traffic group where there is one, else the whole picture.
    pictures = Evidence.objects.order_by(Case(When(kind=EvidenceKind.CROP, then=0), default=1), "pk")
    return (
        Alert.objects.visible_to(user)
        .select_related("camera", "assessment__frame_result", "acknowledged_by")
        .prefetch_related(Prefetch("assessment__evidence", queryset=pictures))
    )


@require_GET
@login_required
def alert_list(request: HttpRequest) -> HttpResponse:
    """Alerts, newest first."""
    user = cast("User", request.user)
    narrowed = AlertFilter(request.GET, user=user)
    page = Paginator(narrowed.narrow(_shown(user)), ALERTS_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"filter": narrowed, "page": page, "query": _query_of(request), "may_operate": user.may(Role.OPERATOR)}
    return render(request, "dashboard/alerts.html", context)


def _query_of(request: HttpRequest) -> str:
    """The filters as a query string, to be carried from page to page."""
    kept = request.GET.copy()
    kept.pop("page", None)
    return kept.urlencode()


@require_GET
@login_required
def alert_page(request: HttpRequest, alert_id: int) -> HttpResponse:
    """One alert with what explains it."""
    user = cast("User", request.user)
    alert = get_object_or_404(_shown(user), pk=alert_id)
    if alert.kind == AlertKind.CAMERA_LOST:
        return render(request, "dashboard/camera_lost.html", _loss(alert, user))
    context = {
        "alert": alert,
        "assessment": alert.assessment,
        "others": [],
        "triggers": [],
        "stale": is_stale(alert.last_seen_at, utc_now(), policy_of(alert.camera)),
        "may_operate": user.may(Role.OPERATOR),
        **(_explanation(alert.assessment) if alert.assessment else {}),
    }
    return render(request, "dashboard/alert.html", context)


def _explanation(assessment: Assessment) -> dict[str, object]:
    """What the verdict was about: the frame, what was judged in it, and the pictures that were kept."""
    pictures = {each.kind: each for each in assessment.evidence.all()}
    frame = detected_frame(assessment.frame_result)
    return {
        "frame": frame,
        "judged": _judged_box(assessment, frame),
        "others": _others(assessment),
        "triggers": assessment.trigger_object_ids,
        "crop": pictures.get(EvidenceKind.CROP),
        "whole": pictures.get(EvidenceKind.FRAME),
    }


def _others(assessment: Assessment) -> list[GroupOutcome]:
    """What became of the other groups of the frame."""
    return [each for each in outcomes_of(assessment.frame_result) if each.group_index != assessment.group_index]


def _loss(alert: Alert, user: User) -> dict[str, object]:
    """What is known of a camera that is or was gone."""
    return {
        "alert": alert,
        "gone_for": spell_duration(((alert.closed_at or utc_now()) - alert.opened_at).total_seconds()),
        "may_operate": user.may(Role.OPERATOR),
        "may_configure": user.may_enter_admin and user.has_perm("cameras.change_camera"),
    }


def _judged_box(assessment: Assessment, frame: DetectedFrame) -> Box:
    """What the shown assessment was about; the alert itself may have moved on since."""
    groups = {group.index: group.box for group in frame.groups}
    return groups.get(assessment.group_index, Box(0, 0, frame.width, frame.height))


@require_POST
@login_required
def acknowledge_alert(request: HttpRequest, alert_id: int) -> HttpResponseRedirect:
    """Acknowledge without JavaScript, and go back to where the button was."""
    user = cast("User", request.user)
    if not user.may(Role.OPERATOR):
        raise PermissionDenied
    alert = get_object_or_404(Alert.objects.visible_to(user).select_related("camera"), pk=alert_id)
    with transaction.atomic():
        changed = acknowledge(alert_id, by=user, now=utc_now())
        if changed:
            audit.record(caller_of(request), "alert.acknowledge", alert)
    if changed:
        publish_alert(alert_id, "acknowledged")
        messages.success(request, _("Acknowledged."))
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if safe else reverse("alert", args=[alert_id]))
