"""The way from a fresh clone to a running fleet, as far as it can be looked at without going it (`make rehearsal`)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.deployment.rehearse import fill_in, rehearsed, to_set
from tests.fleet_host import ROOT
from trafficmon.settings.environment import read_environment


def test_rehearsal_goes_the_way_of_the_page() -> None:
    words = [" ".join(step) for step in rehearsed()]
    assert words[:2] == ["make install", "cp .env.example .env"]
    assert words[-2:] == [
        ".venv/bin/python manage.py fleet start",
        ".venv/bin/python manage.py e2e --seconds 20 --rate 2",
    ]


def test_example_filled_in_as_the_page_says_is_all_that_a_fleet_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith(("ALGO_", "DASHSCOPE", "REDIS_URL", "DATABASE_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    values = {name: f"of-{name.lower()}" for name in to_set()} | {
        "DATABASE_URL": "postgres://user:password@host/name",
        "REDIS_URL": "redis://host:6379/0",
    }
    fill_in(Path(shutil.copy(ROOT / ".env.example", ".env")), values)
    read = read_environment()
    assert (read.database_url, read.redis_url) == (values["DATABASE_URL"], values["REDIS_URL"])
    assert read.secret_key.get_secret_value() == "of-algo_secret_key"
    assert read.dashscope_api_key.get_secret_value() == "of-dashscope_api_key"
