"""The live wall."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import spell, utc_now


@require_GET
@login_required
def wall(request: HttpRequest) -> HttpResponse:
    """Every camera the user may see, as it was last known; the WebSocket brings it to life."""
    user = cast("User", request.user)
    cameras = Camera.objects.visible_to(user).select_related("group")
    context = {
        "cameras": cameras,
        "default_interval": settings.ENVIRONMENT.frame_interval,
        "server_time": spell(utc_now()),
        "may_operate": user.may(Role.OPERATOR),
        "may_configure": user.is_staff and user.has_perm("cameras.add_camera"),
    }
    return render(request, "dashboard/wall.html", context)
