"""Processes of the fleet started for a test, on its database and Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from django.db import connection


def database_url() -> str:
    """The URL of the test database, which a process's own settings would not name."""
    named = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{named['NAME']}"
    return f"postgresql://{named['USER']}:{named['PASSWORD']}@{named['HOST']}:{named['PORT']}/{named['NAME']}"


class Running:
    """A started process and what it logged."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, *, seconds: float = 120) -> None:
        wait_until(lambda: words in self.said(), seconds, failing=lambda: self.said()[-3000:])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, *, seconds: float = 60) -> float:
        """Ask it to finish what it does; the seconds it took. Its exit status must be 0."""
        began = time.monotonic()
        self.process.terminate()
        assert self.process.wait(seconds) == 0, self.said()[-3000:]
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def wait_until(condition: Callable[[], object], seconds: float, *, failing: Callable[[], str] = lambda: "") -> None:
    """Return once `condition` holds; fail the test with what `failing` says when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"it did not happen within {seconds} s\n{failing()}")
        time.sleep(0.05)
