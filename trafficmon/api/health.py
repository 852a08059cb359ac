"""Whether the service can work: what answers, which processes were seen. Open to everybody, so without any detail.

Three questions for whoever watches over processes: does this web process live (else restart it), can it serve (else
send it no requests), does the whole fleet work (else tell somebody).
"""

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
from workers.broker import BrokerUnreachable
from workers.broker import is_answering as is_broker_answering
from workers.health import processes_seen, queues_served
from workers.queues import Queue, waiting_on

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


@require_GET
def live(_request: HttpRequest) -> JsonResponse:
    """200: this process answers. Nothing else is asked: a restart mends no database."""
    return JsonResponse({"status": UP, "service": "algo", "version": settings.VERSION})


@require_GET
def ready(_request: HttpRequest) -> JsonResponse:
    """200 where this process can serve: the database, Redis and the broker answer; else 503."""
    answers = _answers()
    told = {"status": _spelled(all(answers.values())), **{name: _spelled(each) for name, each in answers.items()}}
    return JsonResponse(told, status=_status_of(is_up=all(answers.values())))


@require_GET
def fleet(_request: HttpRequest) -> JsonResponse:
    """200 where each kind of process was seen and each queue is served, else 503; how many messages wait."""
    try:
        client = connect_redis()
        seen, served = processes_seen(client), queues_served(client)
        queues = {queue: {"status": _spelled(served[queue]), "waiting": waiting_on(queue)} for queue in Queue}
    except (redis.RedisError, BrokerUnreachable) as error:
        log.warning("health.fleet_unknown", error=type(error).__name__)
        return JsonResponse({"status": DOWN, "workers": None, "queues": None}, status=_status_of(is_up=False))
    is_up = all((*seen.values(), *served.values()))
    workers = {name: _spelled(each) for name, each in seen.items()}
    return JsonResponse(
        {"status": _spelled(is_up), "workers": workers, "queues": queues}, status=_status_of(is_up=is_up)
    )


def _status_of(*, is_up: bool) -> HTTPStatus:
    return HTTPStatus.OK if is_up else HTTPStatus.SERVICE_UNAVAILABLE


def _answers() -> dict[str, bool]:
    return {
        "database": _does_database_answer(),
        "redis": _processes_seen() is not None,
        "broker": is_broker_answering(),
    }


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
