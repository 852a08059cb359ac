"""Migrations that a running fleet survives: for a while the code of before works on the tables of after."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models import NOT_PROVIDED

OURS = ("accounts", "assessment", "back_office", "cameras", "dashboard", "exports", "notifications")
BEFORE_THE_RULE = {
    "accounts": 2,
    "assessment": 10,
    "back_office": 1,
    "cameras": 5,
    "dashboard": 1,
    "notifications": 1,
    "exports": 0,
}
"""Up to which number the migrations of each application are older than the rule."""
LARGE = {"frameresult", "assessment", "evidence", "alert", "alertevent", "linecount", "event", "statechange"}
"""Tables whose rows take minutes to be looked through."""


def dangers(operation: Operation, new_tables: set[str]) -> list[str]:
    """Why the operation may stop a fleet that runs; none where it may not."""
    found = []
    if isinstance(operation, migrations.DeleteModel | migrations.RemoveField):
        found.append("code of before still asks for it: remove it from the code in one release, here in the next")
    if isinstance(operation, migrations.RenameModel | migrations.RenameField | migrations.AlterModelTable):
        found.append("code of before knows the old name: add the new one, fill it, remove the old one later")
    if isinstance(operation, migrations.AddField) and operation.model_name_lower not in new_tables:
        field: Any = operation.field
        if not (field.null or field.many_to_many or field.db_default is not NOT_PROVIDED):
            found.append("code of before writes no value: give it null=True or db_default")
    if isinstance(operation, migrations.AddIndex | migrations.AddConstraint | migrations.AlterField):
        name = operation.model_name.lower()
        if name in LARGE - new_tables and not isinstance(operation, AddIndexConcurrently):
            found.append(
                "it holds up every writer while all rows are looked through: use AddIndexConcurrently, or say why not"
            )
    if isinstance(operation, migrations.RunPython | migrations.RunSQL) and not operation.reversible:
        found.append("it cannot be taken back: give it a way back, noop where nothing is to be done")
    return found


def unsafe_in(migration: migrations.Migration) -> list[str]:
    """The dangers of a migration that does not say why they are none (`survives`, a sentence)."""
    if getattr(migration, "survives", ""):
        return []
    new = {each.name_lower for each in migration.operations if isinstance(each, migrations.CreateModel)}
    return [f"{migration}: {each.describe()}: {why}" for each in migration.operations for why in dangers(each, new)]


def number_of(name: str) -> int:
    return int(name.split("_", 1)[0])


def test_new_migrations_let_a_running_fleet_go_on() -> None:
    loader = MigrationLoader(None)
    new = [
        migration
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in OURS and number_of(name) > BEFORE_THE_RULE[app]
    ]
    assert [danger for migration in new for danger in unsafe_in(migration)] == []
    assert new


def test_every_application_of_ours_is_looked_at() -> None:
    with_models = {app for app, _name in MigrationLoader(None).disk_migrations}
    others = {"admin", "auth", "contenttypes", "sessions"}
    assert with_models - others == set(OURS)


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        (migrations.RemoveField("alert", "place"), "still asks for it"),
        (migrations.RenameField("alert", "place", "box"), "knows the old name"),
        (migrations.AddField("camera", "colour", models.CharField(max_length=9, default="")), "writes no value"),
        (migrations.AddIndex("alert", models.Index(fields=("place",), name="x")), "holds up every writer"),
        (migrations.RunPython(lambda _apps, _schema: None), "cannot be taken back"),
    ],
)
def test_danger_is_seen(operation: Operation, says: str) -> None:
    [danger] = dangers(operation, set())
    assert says in danger


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddField("camera", "colour", models.CharField(max_length=9, null=True)),
        migrations.AddField("camera", "colour", models.CharField(max_length=9, db_default="")),
        migrations.AddIndex("camera", models.Index(fields=("name",), name="x")),
        migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
    ],
)
def test_what_a_fleet_survives_is_let_through(operation: Operation) -> None:
    assert dangers(operation, set()) == []
