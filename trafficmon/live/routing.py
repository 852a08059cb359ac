"""Which path leads to which consumer. The wiring in trafficmon/asgi.py needs only `live_application`."""

from __future__ import annotations

from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.urls import re_path

from trafficmon.live.consumers import LiveConsumer
from trafficmon.live.flow import Application, with_flow
from trafficmon.live.origins import same_origin


def live_application(http: Application) -> Application:
    """The whole ASGI application: `http` for requests, `/ws` for the live feed, every other socket refused."""
    # Django's re_path is typed for views alone; Channels routes applications with it.
    routes: Any = [_route(r"^ws/?$", LiveConsumer.as_asgi()), _route(r"", WebsocketDenier.as_asgi())]
    signed_in = cast("Application", AuthMiddlewareStack(URLRouter(routes)))
    return cast("Application", ProtocolTypeRouter({"http": http, "websocket": with_flow(same_origin(signed_in))}))


def _route(pattern: str, application: Any) -> Any:
    return re_path(pattern, application)
