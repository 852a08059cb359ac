"""Pictures, to those who may see their camera and to nobody else; nothing below MEDIA_ROOT is served otherwise."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET

from assessment.models import Evidence, FrameResult
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera
from detection.detect import reduce_jpeg
from trafficmon.accounts.access import caller_of, names_a_token
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Scope
from trafficmon.live.reader import WIDTHS

A_DAY = 86_400


def _picture(show: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """For who is signed in, and for API tokens that may read; which cameras they may see is for `show` to ask."""

    @require_GET
    @functools.wraps(show)
    def guarded(request: HttpRequest, **which: object) -> HttpResponse:
        caller = caller_of(request)
        if caller is None:
            return _refuse(request)
        if not caller.holds(Scope.READ):
            raise PermissionDenied
        answer = show(caller.user, request.GET, **which)
        patch_vary_headers(answer, ("Authorization", "Cookie"))
        return answer

    return guarded


def _refuse(request: HttpRequest) -> HttpResponse:
    if names_a_token(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return redirect_to_login(request.get_full_path())


def _jpeg(content: bytes, *, max_age: int) -> HttpResponse:
    answer = HttpResponse(content, content_type="image/jpeg")
    answer["Cache-Control"] = f"private, max-age={max_age}, immutable"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Disposition"] = "inline"
    return answer


@_picture
def evidence(user: User, _asked: QueryDict, evidence_id: int) -> HttpResponse:
    """A picture kept with a verdict."""
    cameras = Camera.objects.visible_to(user)
    visible = Evidence.objects.filter(assessment__frame_result__camera__in=cameras)
    row = get_object_or_404(visible, pk=evidence_id)
    try:
        with row.picture.open("rb") as file:
            return _jpeg(file.read(), max_age=A_DAY)
    except FileNotFoundError:
        raise Http404 from None


@_picture
def frame(user: User, asked: QueryDict, frame_key: str) -> HttpResponse:
    """A live frame while it is in the FrameStore: for clients that asked for pictures by URL, `width` pixels wide."""
    cameras = Camera.objects.visible_to(user)
    get_object_or_404(FrameResult.objects.filter(camera__in=cameras).only("pk"), frame_key=frame_key)
    jpeg = FrameStore(connect_redis()).get(frame_key)
    if jpeg is None:
        raise Http404
    width = next((each for each in WIDTHS if asked.get("width") == str(each)), 0)
    return _jpeg(reduce_jpeg(jpeg, width) if width else jpeg, max_age=120)
