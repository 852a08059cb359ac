"""`python manage.py backup FOLDER`: a copy of the database and the pictures, while the fleet runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from workers.copying import CopyImpossible, back_up


class Command(BaseCommand):
    help = "Copies the database and the pictures to a new folder. What is in Redis is not needed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="a new or empty folder")

    def handle(self, *_args: Any, folder: Path, **_options: Any) -> None:
        try:
            rows = back_up(folder)
        except CopyImpossible as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{folder}: {sum(rows.values())} rows of {len(rows)} tables, and the pictures.")
        self.stdout.write("Keep ALGO_FIELD_KEY and ALGO_SECRET_KEY elsewhere: without the first no secret can be read.")
