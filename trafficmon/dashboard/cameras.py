"""The page of one camera: live, its verdicts, figures and history, its switches, and what is drawn on its picture."""

from __future__ import annotations

import json
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from assessment.models import Evidence, EvidenceKind, FrameResult
from cameras.class_words import CLASS_WORDS
from cameras.control import SWITCHES, switch_camera
from cameras.drawings import read_drawing
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera, ZoneKind
from cameras.shrinking import shrink
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import spell, utc_now
from trafficmon.core.objects import ObjectClass
from trafficmon.dashboard.figures import figures_of, last_alerts, last_verdicts, state_history

MAY_SWITCH, MAY_DRAW = Role.SUPERVISOR, Role.ADMINISTRATOR
THUMBNAIL_WIDTH = 256
SNAPSHOT_FRAMES = 5
"""So many of the newest frames are tried: pictures are kept for about a minute, some for less."""


def visible_camera(request: HttpRequest, camera_id: int) -> Camera:
    """The camera, or Http404 where there is none or the user may not see it."""
    user = cast("User", request.user)
    return get_object_or_404(Camera.objects.visible_to(user).select_related("group"), pk=camera_id)


@require_GET
@login_required
def camera_page(request: HttpRequest, camera_id: int) -> HttpResponse:
    """Everything of one camera."""
    camera, user = visible_camera(request, camera_id), cast("User", request.user)
    drawing = read_drawing(camera)
    context = {
        **_activity(camera, user),
        "server_time": spell(utc_now()),
        "drawing": json.dumps(drawing.model_dump(mode="json", by_alias=True)),
        "version": drawing.version,
        "kinds": json.dumps({code: str(words) for code, words in ZoneKind.choices}),
        "classes": [(each.value, CLASS_WORDS[each]) for each in ObjectClass],
        "may_draw": user.may(MAY_DRAW),
        "may_configure": user.may_enter_admin and user.has_perm("cameras.change_camera"),
    }
    return render(request, "dashboard/camera.html", context)


@require_GET
@login_required
def camera_activity(request: HttpRequest, camera_id: int) -> HttpResponse:
    """The part of the page that is fetched anew: switches, figures, verdicts, history."""
    camera = visible_camera(request, camera_id)
    return render(request, "dashboard/camera_activity.html", _activity(camera, cast("User", request.user)))


def _activity(camera: Camera, user: User) -> dict[str, object]:
    return {
        "camera": camera,
        "figures": figures_of(camera, now=utc_now()),
        "verdicts": last_verdicts(camera),
        "alerts": last_alerts(camera),
        "history": state_history(camera),
        "switches": [(name, label, getattr(camera, f"{name}_enabled")) for name, label in SWITCHES.items()],
        "may_switch": user.may(MAY_SWITCH),
    }


@require_POST
@login_required
def switch(request: HttpRequest, camera_id: int) -> HttpResponse:
    """Switch detection or assessment on or off; a form's post comes back to the page, a script's gets no content."""
    camera, user = visible_camera(request, camera_id), cast("User", request.user)
    name, on = request.POST.get("switch", ""), request.POST.get("on") == "yes"
    if not user.may(MAY_SWITCH):
        raise PermissionDenied
    if name not in SWITCHES:
        raise Http404
    with transaction.atomic():
        if switch_camera(camera.pk, name, on=on):
            audit.record(caller_of(request), "camera.switch", camera, **{name: on})
    if request.headers.get("X-Requested-With") == "fetch":
        return HttpResponse(status=204)
    told = _("%(what)s is on.") if on else _("%(what)s is off.")
    messages.success(request, told % {"what": SWITCHES[name]})
    return redirect(reverse("camera", args=[camera.pk]))


@require_GET
@login_required
def snapshot(request: HttpRequest, camera_id: int) -> HttpResponse:
    """The newest whole picture there is of the camera, to draw on: live, or kept as evidence; 204 without one."""
    camera = visible_camera(request, camera_id)
    jpeg = _newest_picture(camera) or _newest_evidence(camera)
    if jpeg is None:
        return HttpResponse(status=204)
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


@require_GET
@login_required
def thumbnail(request: HttpRequest, camera_id: int) -> HttpResponse:
    """The same as a picture THUMBNAIL_WIDTH pixels wide, for lists; 204 without one."""
    camera = visible_camera(request, camera_id)
    jpeg = _newest_picture(camera) or _newest_evidence(camera)
    small = shrink(jpeg, width=THUMBNAIL_WIDTH) if jpeg else None
    if small is None:
        return HttpResponse(status=204)
    return HttpResponse(small, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=10"})


def _newest_picture(camera: Camera) -> bytes | None:
    frames = FrameResult.objects.filter(camera=camera).order_by("-captured_at")
    keys = list(frames.values_list("frame_key", flat=True)[:SNAPSHOT_FRAMES])
    kept = FrameStore(connect_redis()).get_all(keys)
    return next((kept[key] for key in keys if key in kept), None)


def _newest_evidence(camera: Camera) -> bytes | None:
    alert = camera.alerts.filter(assessment__evidence__kind=EvidenceKind.FRAME).first()
    kept = Evidence.objects.filter(assessment=alert.assessment_id if alert else None, kind=EvidenceKind.FRAME).first()
    if kept is None:
        return None
    try:
        with kept.picture.open("rb") as file:
            return bytes(file.read())
    except FileNotFoundError:
        return None
