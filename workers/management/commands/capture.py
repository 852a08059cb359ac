"""Read the cameras that are wanted running, until told to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from cameras.capture import Capture
from workers.capturing import report_state, send_frame
from workers.pipeline import frame_store


class Command(BaseCommand):
    """`manage.py capture`"""

    help = __doc__ or ""

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        Capture(
            store=frame_store(),
            on_frame=send_frame,
            on_state=report_state,
            limit=settings.ENVIRONMENT.max_concurrent_streams,
            default_interval=settings.ENVIRONMENT.frame_interval,
        ).run(stop)
