"""What Django says of the settings of a real installation, and what is said of wrong ones before anything starts."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALGO_", "DJANGO"))}
    return subprocess.run(
        [sys.executable, "manage.py", *words], env=kept | environment, capture_output=True, text=True, check=False
    )


def test_django_finds_nothing_to_warn_of_in_production(tmp_path: Path) -> None:
    production = {
        "ALGO_SECRET_KEY": secrets.token_hex(32),
        "ALGO_FIELD_KEY": secrets.token_hex(32),
        "ALGO_RUN_DIR": str(tmp_path),
        "ALGO_MEDIA_ROOT": str(tmp_path / "media"),
        "ALGO_ALLOWED_HOSTS": "traffic.example",
        "ALGO_BEHIND_TLS": "true",
    }
    ran = manage(production, "check", "--deploy", "--fail-level", "WARNING")
    assert ran.returncode == 0, ran.stderr
    assert "no issues" in ran.stdout


def test_every_mistake_of_environment_database_and_model_file_is_told_at_once(tmp_path: Path) -> None:
    wrong = tmp_path / "model.yaml"
    wrong.write_text("model: {confidence_threshold: 2}")
    ran = manage(
        {
            "ALGO_SERVER_PORT": "s3cret",
            "ALGO_SERVER_PROT": "1",
            "ALGO_RUN_DIR": str(tmp_path),
            "ALGO_MODEL_CONFIG_PATH": str(wrong),
            "DATABASE_URL": "nonsense://x",
        },
        "check",
    )
    assert ran.returncode != 0
    assert [line.split(":")[0].split(" ")[0] for line in ran.stderr.strip().splitlines()] == [
        "The",
        "ALGO_SERVER_PORT",
        "ALGO_SERVER_PROT",
        "ALGO_SECRET_KEY",
        "ALGO_FIELD_KEY",
        "DATABASE_URL",
        str(wrong),
    ]
    assert "s3cret" not in ran.stderr
