"""Which pages may open the socket: those of this host, and with a ticket those of origins that the operator named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from trafficmon.live.flow import Application, Receive, Scope, Send
from trafficmon.live.incoming import asked

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_welcome(
    headers: Iterable[tuple[bytes, bytes]], *, hosts: Iterable[str], origins: Iterable[str], has_ticket: bool = False
) -> bool:
    """Whether a connection with these headers may go on.

    Browsers always send Origin with a WebSocket; a program that sends none acts for nobody but itself. A page elsewhere
    needs a ticket: browsers may add a visitor's cookie to what it opens, and that is not to count.
    """
    named = {name.lower(): value.decode("latin1") for name, value in headers}
    domain, _port = split_domain_port(named.get(b"host", ""))
    if not domain or not validate_host(domain, list(hosts)):
        return False
    return _is_own(named) or (has_ticket and named[b"origin"].rstrip("/") in {each.rstrip("/") for each in origins})


def _is_own(named: Mapping[bytes, str]) -> bool:
    return b"origin" not in named or _same_host(named[b"origin"], named.get(b"host", ""))


def _same_host(origin: str, host: str) -> bool:
    try:
        from_page = urlsplit(origin)
        port = from_page.port or _DEFAULT_PORTS.get(from_page.scheme)
        asked = urlsplit(f"//{host}")
        asked_port = asked.port or _DEFAULT_PORTS.get(from_page.scheme)
    except ValueError:
        return False
    return from_page.hostname is not None and from_page.hostname == asked.hostname and port == asked_port


def same_origin(application: Application) -> Application:
    """Refuse the handshake (HTTP 403) to pages of other origins."""

    refuse = cast("Application", WebsocketDenier.as_asgi())

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        welcome = is_welcome(
            scope["headers"],
            hosts=settings.ALLOWED_HOSTS,
            origins=settings.ENVIRONMENT.cors_origins,
            has_ticket=bool(asked(scope["query_string"], "ticket")),
        )
        await (application if welcome else refuse)(scope, receive, send)

    return call
