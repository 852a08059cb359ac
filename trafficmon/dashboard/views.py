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
from trafficmon.dashboard.pictures import A_DAY


@require_GET
@login_required
def wall(request: HttpRequest) -> HttpResponse:
    """Every camera the user may see, as it was last known; the WebSocket brings it to life."""
    user = cast("User", request.user)
    cameras = Camera.objects.visible_to(user).select_related("group")
    context = {
        "cameras": cameras,
        "default_interval": settings.ENVIRONMENT.frame_interval,
        "type_names": json.dumps({code: str(name) for code, name in TYPE_CHOICES}),
        "server_time": spell(utc_now()),
        "may_operate": user.may(Role.OPERATOR),
        "may_configure": user.may_enter_admin and user.has_perm("cameras.add_camera"),
    }
    return render(request, "dashboard/wall.html", context)


@require_GET
def icon(_request: HttpRequest) -> HttpResponseRedirect:
    """Where browsers look for an icon when a page names none, as those of the administration do."""
    answer = redirect(static("dashboard/icon.svg"))
    answer["Cache-Control"] = f"public, max-age={A_DAY}"
    return answer
