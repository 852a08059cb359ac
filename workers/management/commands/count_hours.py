"""Count the figures of past hours anew from the frames that are kept: once, after an upgrade that brought them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from assessment.hours import HOUR, hours_between, recount_hour
from assessment.tally import hour_of
from trafficmon.core.clock import spell, utc_now


class Command(BaseCommand):
    """`manage.py count_hours [--hours N]`: exact while the fleet runs; hours whose calm frames are gone are let be."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, help="how far back; at most as long as calm frames are kept")

    def handle(self, *_args: Any, hours: int | None = None, **_options: Any) -> None:
        """Say which hours were counted."""
        now, kept = utc_now(), settings.ENVIRONMENT.frame_retention_hours
        oldest = hour_of(now - timedelta(hours=kept)) + HOUR
        first = max(oldest, hour_of(now) - timedelta(hours=hours)) if hours is not None else oldest
        for hour in hours_between(first, now):
            recount_hour(hour)
            self.stdout.write(f"counted {spell(hour)}")
