"""`/metrics`: what the processes of this host counted, and the figures of the whole fleet."""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST

from trafficmon.core.metric_files import read_host
from trafficmon.core.metrics import may_scrape
from workers.figures import read_fleet

_PARTS = {"host": (read_host,), "fleet": (read_fleet,)}
_FORWARDED = ("X-Forwarded-For", "Forwarded")


@require_GET
def scrape(request: HttpRequest) -> HttpResponse:
    """Both, or the one that `?part=host` or `?part=fleet` names: of several hosts, the fleet is wanted once."""
    token = settings.ENVIRONMENT.metrics_token.get_secret_value()
    if not may_scrape(request.headers.get("Authorization", ""), token=token, is_local=_is_local(request)):
        refused = HttpResponse(
            _("Metrics are for whoever has the token of ALGO_METRICS_TOKEN; without one, for this machine.") + "\n",
            content_type="text/plain; charset=utf-8",
            status=HTTPStatus.UNAUTHORIZED,
        )
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    readers = _PARTS.get(request.GET.get("part", ""), (read_host, read_fleet))
    return HttpResponse(b"".join(read() for read in readers), content_type=CONTENT_TYPE_LATEST)


def _is_local(request: HttpRequest) -> bool:
    """Whether it comes from this machine, and not for somebody elsewhere by a proxy on it."""
    try:
        peer = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return peer.is_loopback and not any(name in request.headers for name in _FORWARDED)
