"""A web process that is asked to end answers what it was asked before."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from tests.processes import Running, wait_until
from workers.runtime import free_port

pytestmark = pytest.mark.integration


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_web_process_accepts_nobody_more_and_answers_whom_it_has_accepted(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "tests.slow_application:application"]
    answer_when = tmp_path / "answer"
    environment = {"PYTHONUNBUFFERED": "1", "ANSWER_WHEN": str(answer_when)}
    running = Running(command, tmp_path / "daphne.log", environment)
    running.wait_for("Listening on TCP")
    answers: list[bytes] = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/first", timeout=60) as answer:
            answers.append(answer.read())

    asking = threading.Thread(target=ask)
    asking.start()
    running.wait_for("asked for /first")
    running.signal(signal.SIGTERM)
    wait_until(lambda: is_refused(port), 60, failing=running.said)
    assert answers == []
    answer_when.touch()
    asking.join()
    assert answers == [b"answered"]
    assert running.process.wait(60) == 0
