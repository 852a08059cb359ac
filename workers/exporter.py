"""The metrics of a host's processes, served by one of them: also where there is no web process, or where it is busy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from celery import Task
from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST

from assessment.risk import RiskLevel, RiskType
from trafficmon.core import metrics
from trafficmon.core.metric_files import read_host
from trafficmon.core.metrics import may_scrape
from workers import tasks
from workers.queues import Queue

Environ = dict[str, Any]
STAGES = ("capture", "decode", "evidence", *(each.name for each in vars(tasks).values() if isinstance(each, Task)))
"""Of `pipeline_errors_total`: parts of the way, and tasks out of which an exception got."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests: there is one every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


def begin_at_zero() -> None:
    """Show what has not happened yet as 0: where a series begins with its first failure, nobody sees it rise."""
    for queue in Queue:
        metrics.queue_send_errors.labels(queue)
    for level in RiskLevel:
        metrics.risk_alerts.labels(level)
    for risk_type in RiskType:
        metrics.risk_types_detected.labels(risk_type)
    for stage in STAGES:
        metrics.pipeline_errors.labels(stage)
    for sink in settings.ENVIRONMENT.export_sinks:
        metrics.export_events.labels(sink, "dropped")


def make_exporter(host: str, port: int, *, token: str) -> WSGIServer:
    """A server of `/metrics` of this host, for those who have the token; without one, for this machine."""

    def answer(environ: Environ, start: Callable[..., object]) -> Iterable[bytes]:
        status, body = _answer(environ, token)
        start(f"{status.value} {status.phrase}", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [body]

    return make_server(host, port, answer, server_class=_Server, handler_class=_Quiet)


def _answer(environ: Environ, token: str) -> tuple[HTTPStatus, bytes]:
    if environ["PATH_INFO"] != "/metrics":
        return HTTPStatus.NOT_FOUND, b""
    is_local = ip_address(environ["REMOTE_ADDR"]).is_loopback
    if not may_scrape(environ.get("HTTP_AUTHORIZATION", ""), token=token, is_local=is_local):
        return HTTPStatus.UNAUTHORIZED, b""
    return HTTPStatus.OK, read_host()
