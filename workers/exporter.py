"""The metrics of a host's processes, served by one of them: also where there is no web process, or where it is busy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from ipaddress import ip_address
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST

from trafficmon.core.metric_files import read_host
from trafficmon.core.metrics import may_scrape

Environ = dict[str, Any]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of requests: there is one every few seconds."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        pass


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
