"""Pictures, to those who may see their camera and to nobody else; nothing below MEDIA_ROOT is served otherwise."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from assessment.models import Evidence, FrameResult
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera
from trafficmon.accounts.models import User

A_DAY = 86_400


def _jpeg(content: bytes, *, max_age: int) -> HttpResponse:
    answer = HttpResponse(content, content_type="image/jpeg")
    answer["Cache-Control"] = f"private, max-age={max_age}, immutable"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Disposition"] = "inline"
    return answer


@require_GET
@login_required
def evidence(request: HttpRequest, evidence_id: int) -> HttpResponse:
    """A picture kept with a verdict."""
    cameras = Camera.objects.visible_to(cast("User", request.user))
    visible = Evidence.objects.filter(assessment__frame_result__camera__in=cameras)
    row = get_object_or_404(visible, pk=evidence_id)
    try:
        with row.picture.open("rb") as file:
            return _jpeg(file.read(), max_age=A_DAY)
    except FileNotFoundError:
        raise Http404 from None


@require_GET
@login_required
def frame(request: HttpRequest, frame_key: str) -> HttpResponse:
    """A live frame while it is in the FrameStore: for clients that asked for pictures by URL."""
    cameras = Camera.objects.visible_to(cast("User", request.user))
    get_object_or_404(FrameResult.objects.filter(camera__in=cameras).only("pk"), frame_key=frame_key)
    jpeg = FrameStore(connect_redis()).get(frame_key)
    if jpeg is None:
        raise Http404
    return _jpeg(jpeg, max_age=120)
