"""What programs ask for."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path


def _health() -> dict[str, str]:
    return {"status": "UP", "service": "algo", "version": settings.VERSION}


def health(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"code": 200, "msg": "OK", "data": _health()})


def flat_health(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(_health())


urlpatterns = [
    path("api/health/health_check", health),
    path("health/health_check", flat_health),
]
