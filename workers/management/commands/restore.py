"""`python manage.py restore FOLDER`: what `backup` wrote, into an empty database and an empty media folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.copying import CopyImpossible, bring_back


class Command(BaseCommand):
    help = (
        "Brings back what `backup` copied, into an empty database and an empty ALGO_MEDIA_ROOT, and compares the rows."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="what `backup` was given")

    def handle(self, *_args: Any, folder: Path, **_options: Any) -> None:
        try:
            rows = bring_back(folder)
        except CopyImpossible as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{sum(rows.values())} rows of {len(rows)} tables are back, and the pictures.")
