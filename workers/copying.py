"""A copy of all that is kept, and the way back: the database, the pictures, and what both must come to again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction

DATABASE = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
PICTURES, MANIFEST = "media.tar", "manifest.json"


class CopyImpossible(Exception):
    """The copy cannot be made, or not be brought back; the message is one sentence that says what to do."""


def back_up(folder: Path) -> dict[str, int]:
    """Write a copy to an empty `folder` while the fleet runs; how many rows each table has in it.

    The database first: a picture that was written meanwhile is one too many, not one too few.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        message = f"{folder} is not empty: name a new folder."
        raise CopyImpossible(message)
    rows = _copy_database(folder / DATABASE[connection.vendor])
    _pack(settings.MEDIA_ROOT, folder / PICTURES)
    told = {
        "version": settings.VERSION,
        "vendor": connection.vendor,
        "rows": rows,
        "sha256": {name: _digest(folder / name) for name in (DATABASE[connection.vendor], PICTURES)},
    }
    (folder / MANIFEST).write_text(json.dumps(told, indent=2), encoding="utf-8")
    return rows


def _pack(source: Path, target: Path) -> None:
    """All files below `source`, but those that retention deletes meanwhile."""
    with tarfile.open(target, "w") as archive:
        for path in sorted(each for each in source.rglob("*") if each.is_file()):
            with suppress(FileNotFoundError):
                archive.add(path, arcname=str(path.relative_to(source)), recursive=False)


def bring_back(folder: Path) -> dict[str, int]:
    """Restore a copy into an empty database and media folder, migrate it to this version, and compare; its rows."""
    told = _read_manifest(folder)
    if told["vendor"] != connection.vendor:
        message = f"The copy is of {told['vendor']}, and DATABASE_URL names {connection.vendor}."
        raise CopyImpossible(message)
    if connection.introspection.table_names():
        raise CopyImpossible("The database is not empty: name a new one in DATABASE_URL.")
    if any(settings.MEDIA_ROOT.iterdir()):
        message = f"{settings.MEDIA_ROOT} is not empty: name a new folder in ALGO_MEDIA_ROOT."
        raise CopyImpossible(message)
    _restore_database(folder / DATABASE[connection.vendor])
    rows = count_rows()
    wrong = [name for name, count in told["rows"].items() if rows.get(name) != count]
    if wrong:
        message = f"Not all rows came back: {', '.join(sorted(wrong))}."
        raise CopyImpossible(message)
    with tarfile.open(folder / PICTURES) as archive:
        archive.extractall(settings.MEDIA_ROOT, filter="data")
    call_command("migrate", verbosity=0)
    return rows


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        damaged = [name for name, digest in told["sha256"].items() if _digest(folder / name) != digest]
    except (OSError, ValueError, KeyError):
        message = f"{folder} is no copy, or not all of one."
        raise CopyImpossible(message) from None
    if damaged:
        message = f"The copy is damaged: {', '.join(damaged)}."
        raise CopyImpossible(message)
    return told


def count_rows() -> dict[str, int]:
    """How many rows each of our tables has now."""
    present = set(connection.introspection.table_names())
    tables = sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)} & present)
    with connection.cursor() as cursor:
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608  # our own names
            counts[table] = int(cursor.fetchone()[0])
    return counts


def _copy_database(target: Path) -> dict[str, int]:
    """The rows are counted in the very state that is copied."""
    if connection.vendor == "sqlite":
        with (
            closing(sqlite3.connect(connection.settings_dict["NAME"])) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
        return _count_in(target)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        snapshot = str(cursor.fetchone()[0])
        _run("pg_dump", "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={target}", _name())
        return count_rows()


def _count_in(copy: Path) -> dict[str, int]:
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    with closing(sqlite3.connect(copy)) as opened:
        present = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        chosen = sorted(tables & present)
        return {name: opened.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in chosen}  # noqa: S608


def _restore_database(source: Path) -> None:
    if connection.vendor == "sqlite":
        connections.close_all()
        shutil.copyfile(source, connection.settings_dict["NAME"])
        return
    _run("pg_restore", "--exit-on-error", "--no-owner", "--single-transaction", f"--dbname={_name()}", str(source))


def _name() -> str:
    return str(connection.settings_dict["NAME"])


def _run(program: str, *words: str) -> None:
    """PostgreSQL's own program, told where the database is by its environment: no password is on a command line."""
    told = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    environment = os.environ | {name: str(told[key]) for name, key in names.items() if told[key]}
    try:
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        message = f"{program} is not installed: apt-get install postgresql-client"
        raise CopyImpossible(message) from None
    if done.returncode:
        message = f"{program} failed: {done.stderr.strip()[-500:]}"
        raise CopyImpossible(message)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
