"""The scenarios run in a process of their own, whose servers may die; it is started once and told what to play."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rtsp_camera import is_continuous_integration
from tests.servers import NOT_INSTALLED, postgres_folder

Play = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Play a scenario by its name; its figures, which are also printed."""
    if postgres_folder() is None and not is_continuous_integration():
        pytest.skip(NOT_INSTALLED)
    log = tmp_path_factory.mktemp("faults") / "scenario.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.scenario"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    yield lambda name: _play(process, name, log)
    # The end of its input ends it and all that it has started.
    process.communicate(timeout=60)


def _play(process: subprocess.Popen[str], name: str, log: Path) -> dict[str, Any]:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, f"The scenario has failed: {log.read_text(errors='replace')[-5000:]}"
    print(line)
    figures: dict[str, Any] = json.loads(line)
    return figures
