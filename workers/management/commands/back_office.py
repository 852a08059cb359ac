"""The back office: take its cameras in, or tell it the statistics that are due."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trafficmon.accounts import audit
from trafficmon.back_office.cameras import import_cameras
from trafficmon.back_office.client import BackOfficeRefused
from trafficmon.back_office.reports import report_due
from trafficmon.core.clock import utc_now


class Command(BaseCommand):
    """`manage.py back_office import|report`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("import", "report"))

    def handle(self, *_args: Any, action: str, **_options: Any) -> None:
        """Raises CommandError where the back office does not answer, or some of its cameras are refused."""
        if action == "report":
            self.stdout.write(f"{report_due(now=utc_now())} hours were reported.")
        else:
            self._import()

    def _import(self) -> None:
        try:
            result = import_cameras(now=utc_now())
        except BackOfficeRefused as error:
            raise CommandError(str(error)) from None
        for what, names in (("added", result.added), ("changed", result.changed), ("not listed", result.missing)):
            for name in names:
                self.stdout.write(f"{what}\t{name}")
        added, changed, refused = len(result.added), len(result.changed), len(result.refused)
        audit.record(None, "camera.import", added=added, changed=changed, refused=refused)
        told = f"{added} added, {changed} changed, {refused} refused, {result.unchanged} unchanged."
        self.stdout.write(told)
        if result.refused:
            raise CommandError("\n".join(result.refused))
