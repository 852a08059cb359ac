"""A copy of everything, brought back into an empty database: every row and every picture is there again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from tests.servers import NOT_INSTALLED, postgres_folder, running_postgres

pytestmark = pytest.mark.integration

FILL = """
import hashlib
from assessment.evidence import Pictures, keep_evidence
from assessment.models import Assessment
from tests.factories import make_camera, record
for number in range(3):
    question = Assessment.objects.get(frame_result=record(make_camera(source=f"street://junction?seed={number}")))
    keep_evidence(question.pk, Pictures(b"picture %d" % number, (160, 90)))
"""
LOOK = """
from assessment.models import Evidence
from cameras.models import Camera
print([camera.source for camera in Camera.objects.order_by("pk")])
for row in Evidence.objects.order_by("pk"):
    with row.picture.open() as file:
        print(row.sha256, file.read())
"""


def manage(environment: Mapping[str, str], *words: str, fails: bool = False) -> str:
    ran = subprocess.run(
        [sys.executable, "manage.py", *words], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode != 0) is fails, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="trafficmon-backup-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def place(folder: Path, name: str, url: str = "") -> dict[str, str]:
    """The environment of an installation of its own."""
    run_dir = folder / name
    run_dir.mkdir()
    return {"ALGO_RUN_DIR": str(run_dir), "ALGO_MEDIA_ROOT": str(run_dir / "media"), "DATABASE_URL": url}


def check_round_trip(folder: Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    manage(old, "migrate", "--verbosity", "0")
    manage(old, "shell", "--no-imports", "-c", FILL)
    before = manage(old, "shell", "--no-imports", "-c", LOOK)
    assert hashlib.sha256(b"picture 2").hexdigest() in before
    said = manage(old, "backup", str(folder / "copy"))
    assert "tables, and the pictures" in said
    assert "tables are back" in manage(new, "restore", str(folder / "copy"))
    assert manage(new, "shell", "--no-imports", "-c", LOOK) == before
    assert "not empty: name a new one" in manage(new, "restore", str(folder / "copy"), fails=True)


def test_sqlite_and_its_pictures_come_back(folder: Path) -> None:
    check_round_trip(folder, place(folder, "old"), place(folder, "new"))
    other = place(folder, "other")
    (folder / "copy" / "media.tar").write_bytes(b"not it")
    assert "The copy is damaged: media.tar." in manage(other, "restore", str(folder / "copy"), fails=True)
    assert "is not empty: name a new folder" in manage(other, "backup", str(folder / "copy"), fails=True)


def test_postgresql_and_its_pictures_come_back(folder: Path) -> None:
    if postgres_folder() is None:
        pytest.skip(NOT_INSTALLED)
    with running_postgres(folder) as server:
        with psycopg.connect(server.url, autocommit=True) as opened:
            opened.execute("CREATE DATABASE elsewhere")
        new = server.url.rpartition("/")[0] + "/elsewhere"
        check_round_trip(folder, place(folder, "old", server.url), place(folder, "new", new))
