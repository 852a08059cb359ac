"""What the runbook tells people to type works: each command of a block is run against a small installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands
from prometheus_client.metrics import MetricWrapperBase

from tests.processes import Running, wait_until
from trafficmon.core import metrics
from trafficmon.core.redis_server import start_redis
from workers.runtime import free_port

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
MAY_SAY_NO = {
    "python manage.py fleet status": {3},  # no fleet runs here
    "python manage.py dbshell -- --version": {0, 1},  # sqlite3's shell need not be installed
    "python manage.py check --deploy": {0},
}


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", RUNBOOK, re.DOTALL)
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line.strip()))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Database, Redis and one web process of their own."""
    folder = tmp_path_factory.mktemp("runbook")
    redis_server = start_redis(Path(settings.RUN_DIR) / "rb")
    port = free_port()
    environment = {
        "ALGO_RUN_DIR": str(folder),
        "ALGO_MEDIA_ROOT": str(folder / "media"),
        "ALGO_SERVER_PORT": str(port),
        "ALGO_BEHIND_TLS": "false",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "REDIS_URL": redis_server.url,
        "DASHSCOPE_API_KEY": "sk-of-tests",
        "ALGO_METRICS_TOKEN": "token-of-tests",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    prepared = os.environ | environment
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=prepared, check=True, cwd=ROOT)
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "trafficmon.asgi:application"]
    web = Running(command, folder / "web.log", environment)
    try:
        wait_until(lambda: "Listening on TCP address" in web.said(), 300, failing=web.said)
        yield environment
    finally:
        web.kill()
        redis_server.stop()


@pytest.mark.parametrize("command", commands())
def test_command_of_the_runbook_works(command: str, installation: dict[str, str]) -> None:
    program = command.split(maxsplit=1)[0]
    if not shutil.which(program, path=installation["PATH"]):
        pytest.skip(f"{program} is not installed here")
    told = command.replace("127.0.0.1:5000", f"127.0.0.1:{installation['ALGO_SERVER_PORT']}")
    told = told.replace('-u "$REDIS_URL"', f"-s {installation['REDIS_URL'].removeprefix('unix://')}")
    ran = subprocess.run(
        ["bash", "-c", told], env=os.environ | installation, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode in MAY_SAY_NO.get(command, {0}), ran.stdout + ran.stderr
    assert ran.stdout or "grep" not in command
    assert "Traceback" not in ran.stderr


def test_metrics_that_the_runbook_names_are_there() -> None:
    """A name that is misspelt would be looked for in vain."""
    known = {
        name
        for each in vars(metrics).values()
        if isinstance(each, MetricWrapperBase)
        for family in each.describe()
        for name in (family.name, f"{family.name}_total")
    }
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:\{[^`]*\})?`", RUNBOOK))
    told = {
        word
        for word in words
        if word.endswith(("_total", "_seconds", "_stretch", "_size", "_lag", "_bytes", "_paused"))
    }
    known |= {each.name for each in metrics.FIGURES}
    assert told - known - {"llm.cooldown_seconds"} == set()


def test_commands_that_the_runbook_names_exist() -> None:
    named = set(re.findall(r"manage\.py ([a-z_0-9]+)", RUNBOOK))
    assert named - set(get_commands()) == set()


def test_every_section_of_the_runbook_that_is_linked_is_there() -> None:
    def anchor(heading: str) -> str:
        return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")

    for text in (RUNBOOK,):
        here = {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) - here == set()
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    there = {anchor(line.lstrip("# ")) for line in operations.splitlines() if line.startswith("#")}
    assert set(re.findall(r"operations\.md#([^)]+)\)", RUNBOOK)) - there == set()
