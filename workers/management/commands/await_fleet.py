"""Wait until the workers consume their queues, so that what starts next finds them at work."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cameras.frames import connect_redis
from workers.health import queues_missing
from workers.readiness import LOOK_SECONDS


class Command(BaseCommand):
    """`manage.py await_fleet`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=120.0, help="give up after this long")

    def handle(self, *_args: Any, seconds: float, **_options: Any) -> None:
        """Raises CommandError, naming the queues that nobody consumes, when the time is over."""
        until = time.monotonic() + seconds
        while missing := queues_missing(connect_redis()):
            time.sleep(LOOK_SECONDS)
            if time.monotonic() > until:
                message = f"No worker consumes {', '.join(missing)} after {seconds:g} s."
                raise CommandError(message)
