"""`manage.py fleet` and `manage.py e2e`: real processes on servers and a simulated provider of their own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.fleet_host import Host, running_host
from tests.processes import wait_until
from tests.rtsp_camera import is_continuous_integration
from tests.servers import NOT_INSTALLED, postgres_folder
from workers.health import workers_seen
from workers.runtime import free_port

NOT_RUNNING_STATUS = 3
PASSWORD = "the password of flower"
UNMIGRATED = "CommandError: The database is of another version: run python manage.py migrate.\n"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.name != "posix", reason="supervisor runs on Linux and macOS"),
    pytest.mark.skipif(postgres_folder() is None and not is_continuous_integration(), reason=NOT_INSTALLED),
]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with running_host(ALGO_FLOWER_PORT=str(free_port()), ALGO_FLOWER_PASSWORD=PASSWORD) as found:
        refused = found.manage("fleet", "start")
        assert refused.stderr == UNMIGRATED
        found.succeed("migrate", "--verbosity", "0")
        yield found


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody reaps has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_fleet_starts_says_how_it_is_brings_back_what_dies_and_stops(host: Host) -> None:
    before = host.manage("fleet", "status")
    assert (before.returncode, before.stderr) == (
        NOT_RUNNING_STATUS,
        "CommandError: The fleet is not running: python manage.py fleet start\n",
    )
    with host.fleet("--processes", "detection=2,web=2") as said:
        assert f"The fleet is at work: http://127.0.0.1:{host.environment['ALGO_SERVER_PORT']} Logs:" in said
        names = [
            "web-1",
            "web-2",
            "flower-1",
            "metrics-1",
            "results-1",
            "assessment-1",
            "detection-1",
            "detection-2",
            "beat-1",
        ]
        status = host.succeed("fleet", "status")
        assert re.findall(r"^(\S+-\d+) .* pid \d+", status, re.M) == [*names, "capture-1"]
        pids = host.pids()
        assert host.open("ALGO_SERVER_PORT", "/health/health_check") == 200
        assert (host.open("ALGO_FLOWER_PORT", "/"), host.open("ALGO_FLOWER_PORT", "/", user=f"flower:{PASSWORD}")) == (
            401,
            200,
        )
        again = host.manage("fleet", "start")
        assert again.stderr == "CommandError: The fleet is running already: see python manage.py fleet status.\n"
        with host.of_another_version():
            refused = host.manage("fleet", "restart", "--processes", "detection=1")
        assert (refused.returncode, refused.stderr) == (1, UNMIGRATED)
        assert host.pids() == pids
        os.kill(pids["assessment-1"], signal.SIGKILL)
        wait_until(lambda: host.pids().get("assessment-1") not in {None, pids["assessment-1"]}, 60, failing=host.logs)
        everything = [*host.pids().values(), host.supervisor()]
        assert host.succeed("fleet", "stop").splitlines()[-1] == "The fleet has stopped."
    assert all(map(is_gone, everything))
    assert host.manage("fleet", "stop").returncode == NOT_RUNNING_STATUS
    assert all((host.folder / "logs" / f"{name}.log").exists() for name in names)


def test_end_to_end_check_passes_while_every_worker_is_exchanged(host: Host) -> None:
    outcomes: list[subprocess.CompletedProcess[str]] = []
    with host.fleet("--processes", "detection=2,assessment=2"):
        before = host.pids()
        # Rarely enough for each picture to be looked at before the camera's next one would replace it.
        check = threading.Thread(target=lambda: outcomes.append(host.manage("e2e", "--seconds", "40", "--rate", "0.5")))
        check.start()
        for kind in ("detection", "assessment", "results"):
            host.succeed("fleet", "restart", kind)
        check.join()
        after = host.pids()
    exchanged = {name for name, pid in before.items() if after[name] != pid}
    assert exchanged == {"detection-1", "detection-2", "assessment-1", "assessment-2", "results-1"}
    [outcome] = outcomes
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr + host.logs()
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +\S+ s +\S+ s +(\S+)%  (.*)$", outcome.stdout, re.M)
    assert [row[0] for row in rows] == ["pictures", "detections"]
    assert all(int(sent) == int(received) >= 10 for _leg, sent, received, _success, _errors in rows)
    assert [row[3:] for row in rows] == [("100.0", "none")] * 2
    assert host.count("cameras_camera") == 0


def test_stop_finishes_the_questions_in_hand(host: Host) -> None:
    done = "assessment_assessment WHERE status = 'done'"
    with host.slow_model(), host.fleet("--processes", "flower=0,web=0,capture=0,detection=0"):
        producer = threading.Thread(
            target=host.manage, args=("e2e", "--only", "produce", "--seconds", "1", "--rate", "2")
        )
        producer.start()
        wait_until(lambda: host.count("assessment_assessment WHERE lease_token <> ''") >= 2, 120, failing=host.logs)
        host.succeed("fleet", "stop")
        producer.join()
    assert host.count("assessment_assessment WHERE lease_token <> '' AND status = 'pending'") == 0
    assert host.count(done) >= 2


def test_what_cannot_start_is_tried_with_growing_pauses_and_comes_back_by_itself(host: Host) -> None:
    keys = host.folder / "api_keys.yaml"
    with contextlib.ExitStack() as at_end:
        at_end.callback(keys.unlink, missing_ok=True)
        at_end.enter_context(host.fleet("--processes", "flower=0,web=0,capture=0,detection=0"))
        said, pauses = len(host.said("assessment-1")), len(host.pauses("assessment-1"))
        keys.write_text("keys: [")
        os.kill(host.pids()["assessment-1"], signal.SIGKILL)
        wait_until(lambda: "The key file cannot be used." in host.said("assessment-1")[said:], 90, failing=host.logs)
        status = host.manage("fleet", "status")
        assert status.returncode == 1
        assert re.search(
            r"assessment-1 is (backoff: Exited too quickly|starting: pid \d+, just started)", status.stderr
        )
        assert f"see {host.folder}/logs/assessment-1.log" in status.stderr
        wait_until(lambda: len(host.pauses("assessment-1")) > pauses + 2, 120, failing=host.logs)
        # Whatever dies after it was steady is started at once, what dies sooner after a second: then each adds one.
        grown = host.pauses("assessment-1")[pauses:]
        assert all(pause > least - 0.1 for least, pause in enumerate(grown))
        keys.unlink()
        wait_until(lambda: host.manage("fleet", "status").returncode == 0, 120, failing=host.logs)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_processes_end_with_the_supervisor_that_is_killed(host: Host) -> None:
    with host.fleet("--processes", "flower=0,capture=0"):
        pids = host.pids()
        os.kill(host.supervisor(), signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, pids.values())), 60)
        assert host.manage("fleet", "status").returncode == NOT_RUNNING_STATUS
        host.succeed("fleet", "start", "--processes", "flower=0,capture=0,web=0,detection=0,assessment=0")


def test_without_a_fleet_the_check_says_what_nobody_consumes(host: Host) -> None:
    with redis.Redis.from_url(host.environment["REDIS_URL"]) as client:
        wait_until(lambda: not workers_seen(client), 60)  # those that another test has killed
    failed = host.manage("e2e", "--seconds", "1")
    assert (failed.returncode, failed.stderr) == (
        1,
        "CommandError: Failed: no worker consumes detect, assess, assess.urgent, results.\n",
    )
    watched = host.manage("e2e", "--only", "watch", "detect", "--seconds", "1")
    assert (watched.returncode, watched.stderr) == (1, "CommandError: Failed: no worker consumes detect.\n")
