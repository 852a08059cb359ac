"""The scenarios run in a process of their own, whose servers may die; it is started once and told what to play."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rtsp_camera import is_continuous_integration
from tests.servers import NOT_INSTALLED, postgres_folder

Play = Callable[[str], dict[str, Any]]


@dataclass(slots=True)
class Theatre:
    """The process that plays; another takes its place where one has failed, so that it fails one test alone."""

    log: Path
    process: subprocess.Popen[str] | None = None

    def play(self, name: str) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            pytest.fail(f"The scenario has failed: {self.log.read_text(errors='replace')[-5000:]}")
        print(line)
        figures: dict[str, Any] = json.loads(line)
        return figures

    def _start(self) -> subprocess.Popen[str]:
        with self.log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.faults.scenario"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def close(self) -> None:
        """The end of its input ends it and all that it has started."""
        if self.process:
            self.process.communicate(timeout=120)
            self.process = None


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """Play a scenario by its name; its figures, which are also printed."""
    if postgres_folder() is None and not is_continuous_integration():
        pytest.skip(NOT_INSTALLED)
    theatre = Theatre(tmp_path_factory.mktemp("faults") / "scenario.log")
    yield theatre.play
    theatre.close()
