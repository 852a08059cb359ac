"""Have all days added up again: once after an update that did not go by `fleet restart`, when all runs the new code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from assessment.days import add_up_again


class Command(BaseCommand):
    """`manage.py count_days`"""

    help = __doc__ or ""

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Say how many days it concerns."""
        self.stdout.write(f"{add_up_again()} days are added up again, the newest first.")
