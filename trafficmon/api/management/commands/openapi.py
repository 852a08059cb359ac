"""Write docs/openapi.json anew, or say whether it is fresh."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from trafficmon.api.openapi import as_text

SNAPSHOT = settings.BASE_DIR / "docs" / "openapi.json"


class Command(BaseCommand):
    """`manage.py openapi [--check]`"""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail where it is out of date")

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        text = as_text()
        if not check:
            SNAPSHOT.write_text(text, encoding="utf-8")
        elif not SNAPSHOT.exists() or SNAPSHOT.read_text(encoding="utf-8") != text:
            raise CommandError("docs/openapi.json is out of date: run manage.py openapi.")
