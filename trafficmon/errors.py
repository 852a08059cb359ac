"""What is answered when a request fails: the envelope below /api, a page elsewhere."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from trafficmon.api.answers import envelope


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    return _answer(request, 400, _("The request cannot be understood."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    return _answer(request, 403, _("You may not do this. Ask an administrator for the role it needs."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001  # Django's signature
    return _answer(request, 403, _("The page was too old or cookies are blocked. Reload the page and try again."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    return _answer(request, 404, _("There is nothing at this address, or you may not see it."))


def server_error(request: HttpRequest) -> HttpResponse:
    message = _("The service failed on this request. It has been logged; try again in a moment.")
    if _is_for_a_program(request):
        return envelope(code=500, msg=message)
    # Without the request: its user comes from the database, which may be what failed.
    return render(None, "dashboard/problem.html", {"code": 500, "message": message}, status=500)


def _answer(request: HttpRequest, code: int, message: str) -> HttpResponse:
    if _is_for_a_program(request):
        return envelope(code=code, msg=message)
    return render(request, "dashboard/problem.html", {"code": code, "message": message}, status=code)


def _is_for_a_program(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
