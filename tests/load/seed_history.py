"""Three months of 200 cameras in a database of its own: a million alerts, ten million assessments, and what each page
takes of them.

    make bench-history ARGS="--frames 5400000"

Of every page it prints the median of five in milliseconds and the worst, and keeps the plan of its slowest query in
docs/plans. The last line is JSON. The database is dropped at the end unless --keep is given; --reuse takes one that was
kept. Needs a PostgreSQL whose user may create databases (--server).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from django.db.backends.utils import CursorWrapper

from tests.environment import prepare_environment

FOLDER = Path(__file__).parent / "history"
TABLES = (
    *("cameras_statechange", "assessment_frameresult", "assessment_assessment", "assessment_alert"),
    *("assessment_alertevent", "assessment_evidence", "assessment_alertjudgement", "assessment_linecount"),
    *("assessment_spending", "assessment_deadletter", "accounts_auditentry", "assessment_camerahour"),
)
"""Those that are filled; they are without their indexes meanwhile."""
HOURS_COMPARED = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Seed, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5_400_000, help="each has two assessments; 18 %% an alert")
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--server", default="postgres://postgres:postgres@127.0.0.1:5432")
    parser.add_argument("--database", default="trafficmon_history")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--reuse", action="store_true")
    parser.add_argument("--only", default="", help="pages whose name matches this expression")
    parser.add_argument("--plans", type=Path, default=Path("docs/plans"))
    given = parser.parse_args(arguments)
    if not given.reuse:
        _run(given.server, f"DROP DATABASE IF EXISTS {given.database}", f"CREATE DATABASE {given.database}")
    os.environ["DATABASE_URL"] = f"{given.server}/{given.database}"
    prepare_environment()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.core.management import call_command

    try:
        call_command("migrate", verbosity=0)
        seeded = {} if given.reuse else seed(given)
        from tests.load.history.pages import measure_pages

        print(
            json.dumps({"bench": "history", **count_rows(), **seeded, "pages": measure_pages(given.plans, given.only)})
        )
    finally:
        from django.db import connections

        connections.close_all()
        if not given.keep:
            _run(given.server, f"DROP DATABASE {given.database}")


def _run(server: str, *statements: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        for each in statements:
            connection.execute(each.encode())


def seed(given: argparse.Namespace) -> dict[str, object]:
    """Fill the tables; how long it took, and how many hours the program itself counts as they were seeded."""
    from django.db import connection

    from assessment.days import add_up_days
    from assessment.hours import add_up_hours
    from trafficmon.core.clock import utc_now

    begun, now = time.monotonic(), utc_now()
    with connection.cursor() as cursor:
        indexes = _take_indexes_away(cursor)
        values = {"frames": given.frames, "days": given.days, "cameras": given.cameras, "now": f"'{now}'::timestamptz"}
        values["today"] = (now - now.replace(hour=0, minute=0, second=0)) / timedelta(days=1)
        for statement in (*_statements("seed.sql", values), *_statements("hours.sql", values), *indexes):
            at = time.monotonic()
            cursor.execute(statement)
            print(f"{time.monotonic() - at:7.1f} s  {' '.join(statement.split())[:90]}", flush=True)
        for table in ("accounts_user", "cameras_camera", "cameras_cameragroup", "cameras_countingline", *TABLES[1:4]):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")  # noqa: S608  # our own
        _make_keys()
        add_up_hours(now=now, seconds=math.inf)
        add_up_days(now=now, seconds=math.inf)
        cursor.execute("VACUUM ANALYZE")
    return {"seed_seconds": round(time.monotonic() - begun), "hours_alike": _compare_hours()}


def _make_keys() -> None:
    """The accounts and keys that the seeded questions name."""
    from assessment.models import Account, ApiKey
    from tests.factories import seal

    accounts = [Account.objects.create(slug=f"acct-abc{number}") for number in range(3)]
    for number in range(10):
        ApiKey.objects.create(slug=f"key-{number}", account=accounts[number % 3], secret_encrypted=seal())


def _statements(name: str, values: dict[str, object]) -> list[str]:
    text = re.sub(r"^--.*\n", "", (FOLDER / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    filled = re.sub(r"(?<!:):([a-z]+)\b", lambda found: str(values[found[1]]), text)
    return [each for each in filled.split("\n;\n") if each.strip()]


def _take_indexes_away(cursor: CursorWrapper) -> list[str]:
    """Drop the foreign keys of the tables that are filled, and the indexes that hold no constraint; the statements that
    make them again."""
    tables = [list(TABLES)]
    cursor.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = ANY(%s::regclass[]) AND contype = 'f'",
        tables,
    )
    foreign = cursor.fetchall()
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        tables,
    )
    indexes = cursor.fetchall()
    for table, name, _definition in foreign:
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _definition in indexes:
        cursor.execute(f'DROP INDEX "{name}"')
    keys = [f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in foreign]
    return [*(definition for _name, definition in indexes), *keys]


def _compare_hours() -> int:
    """How many hours the program counts one by one as they were seeded; raises AssertionError where one differs."""
    from django.db import transaction

    from assessment.hours import recount_hour
    from assessment.models import CameraHour

    hours = list(CameraHour.objects.order_by("hour").values_list("hour", flat=True).distinct())
    for hour in hours[len(hours) // 3 :: len(hours) // HOURS_COMPARED][:HOURS_COMPARED]:
        with transaction.atomic():
            seeded = _figures(hour)
            recount_hour(hour)
            counted = _figures(hour)
            transaction.set_rollback(True)
        assert seeded == counted, hour
    return HOURS_COMPARED


def _figures(hour: datetime) -> list[dict[str, object]]:
    from assessment.models import CameraHour

    rows = CameraHour.objects.filter(hour=hour).order_by("camera")
    return [{**row, "id": 0, "seconds": round(row["seconds"], 6)} for row in rows.values()]


def count_rows() -> dict[str, int]:
    """How many rows the large tables have."""
    from assessment.models import Alert, AlertEvent, AlertJudgement, Assessment, CameraHour, FrameResult, LineCount

    counted = (Alert, AlertEvent, AlertJudgement, Assessment, CameraHour, FrameResult, LineCount)
    return {each._meta.model_name or "": each.objects.count() for each in counted}


if __name__ == "__main__":
    main()
