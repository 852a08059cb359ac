"""HTTP by Django, WebSocket by Channels."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trafficmon.settings")
http = get_asgi_application()

from trafficmon.leaving import Leaving  # noqa: E402  # needs Django to be set up
from trafficmon.live.routing import live_application  # noqa: E402  # likewise

leaving = Leaving()
application = leaving.watch(live_application(http))
leaving.prepare()
