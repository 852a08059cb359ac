"""The live wall, and the icon of every page."""

from __future__ import annotations

import json
from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_GET

from assessment.models import TYPE_CHOICES
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import spell, utc_now
from trafficmon.dashboard.layouts import COLUMNS
from trafficmon.dashboard.models import WallLayout
from trafficmon.dashboard.pictures import A_DAY
from trafficmon.live.access import MOST_ENDED


@require_GET
@login_required
def wall(request: HttpRequest) -> HttpResponse:
    """The cameras of a layout or a group, else all that the user may see; the WebSocket brings them to life."""
    user = cast("User", request.user)
    visible = list(Camera.objects.visible_to(user).select_related("group"))
    layouts = list(WallLayout.objects.filter(user=user))
    layout = _layout(layouts, request)
    chosen = _chosen(visible, layout, request.GET.get("group", ""))
    cameras = visible if chosen is None else [each for each in visible if each.pk in chosen]
    cameras = layout.ordered(cameras) if layout else cameras
    context = {
        "visible": visible,
        "cameras": cameras,
        "chosen": chosen,
        "chosen_text": "" if chosen is None else json.dumps([each.pk for each in cameras]),
        "groups": sorted({(each.group.name, each.group.pk) for each in visible if each.group}),
        "group": request.GET.get("group", ""),
        "layouts": layouts,
        "layout": layout,
        "columns": COLUMNS,
        "default_interval": settings.ENVIRONMENT.frame_interval,
        "type_names": json.dumps({code: str(name) for code, name in TYPE_CHOICES}),
        "server_time": spell(utc_now()),
        "most_missed": MOST_ENDED,
        "may_operate": user.may(Role.OPERATOR),
        "may_configure": user.may_enter_admin and user.has_perm("cameras.add_camera"),
    }
    return render(request, "dashboard/wall.html", context)


def _layout(layouts: list[WallLayout], request: HttpRequest) -> WallLayout | None:
    """The one that the address names; where it says nothing of what to show, the one that the user wants first."""
    if not {"layout", "group", "all"} & set(request.GET):
        return next((each for each in layouts if each.is_default), None)
    return next((each for each in layouts if str(each.pk) == request.GET.get("layout")), None)


def _chosen(visible: list[Camera], layout: WallLayout | None, group: str) -> set[int] | None:
    """The numbers of the cameras to show; None: all."""
    if layout:
        return set(layout.cameras.values_list("pk", flat=True)) & {each.pk for each in visible}
    return {each.pk for each in visible if str(each.group_id) == group} if group else None


@require_GET
def icon(_request: HttpRequest) -> HttpResponseRedirect:
    """Where browsers look for an icon when a page names none, as those of the administration do."""
    answer = redirect(static("dashboard/icon.svg"))
    answer["Cache-Control"] = f"public, max-age={A_DAY}"
    return answer
