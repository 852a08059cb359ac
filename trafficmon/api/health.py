"""Whether the service can work: what answers, which processes were seen. Open to everybody, so without any detail."""

from __future__ import annotations

from http import HTTPStatus

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from cameras.frames import connect_redis
from trafficmon.api.answers import envelope
from workers.health import processes_seen

log = structlog.get_logger()

UP, DOWN = "UP", "DOWN"


@require_GET
def health(_request: HttpRequest) -> JsonResponse:
    """200, or 503 where the database or Redis does not answer."""
    told = _health()
    if told["status"] == UP:
        return envelope(told)
    return envelope(told, code=HTTPStatus.SERVICE_UNAVAILABLE, msg=_("The database or Redis does not answer."))


@require_GET
def flat_health(_request: HttpRequest) -> JsonResponse:
    """The same without an envelope."""
    told = _health()
    return JsonResponse(told, status=HTTPStatus.OK if told["status"] == UP else HTTPStatus.SERVICE_UNAVAILABLE)


def _health() -> dict[str, object]:
    seen = _processes_seen()
    answers = {"database": _does_database_answer(), "redis": seen is not None}
    return {
        "status": _spelled(all(answers.values())),
        "service": "algo",
        "version": settings.VERSION,
        **{name: _spelled(each) for name, each in answers.items()},
        "workers": None if seen is None else {name: _spelled(each) for name, each in seen.items()},
    }


def _spelled(is_up: bool) -> str:
    return UP if is_up else DOWN


def _does_database_answer() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError) as error:
        log.warning("health.database_down", error=str(error))
        return False
    return True


def _processes_seen() -> dict[str, bool] | None:
    """None where Redis does not answer."""
    try:
        return processes_seen(connect_redis())
    except redis.RedisError as error:
        log.warning("health.redis_down", error=str(error))
        return None
