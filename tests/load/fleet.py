"""The real fleet for the load benchmark: what an operator would start, in a folder and a database of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

import yaml
from prometheus_client.parser import text_string_to_metric_families

from trafficmon.core.redis_server import start_redis
from workers.queues import Queue
from workers.runtime import celery_worker, free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0


@dataclass(slots=True)
class Fleet:
    """Running processes by kind, and the address of the web side."""

    address: str
    processes: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    servers: dict[str, list[int]] = field(default_factory=dict)

    @property
    def pids(self) -> dict[str, list[int]]:
        """Process numbers by kind, those of the database, Redis and the cameras included."""
        return {kind: [each.pid for each in started] for kind, started in self.processes.items()} | self.servers

    def start(self, kind: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start one more process of a kind; what it says is added to the log."""
        with log.open("ab") as output:
            started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self.processes.setdefault(kind, []).append(started)

    def put_first(self, kind: str) -> None:
        """Let the processes of a kind go before whatever else runs here, where the system has that and permits it."""
        if not hasattr(os, "sched_setscheduler"):
            return
        for process in self.processes[kind]:
            with suppress(PermissionError):
                os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(1))

    def kill(self, kind: str) -> None:
        """End the oldest process of a kind as kill -9 does."""
        victim = self.processes[kind].pop(0)
        victim.kill()
        victim.wait()

    def stop(self) -> None:
        """End all, first kindly."""
        started = [each for kind in self.processes.values() for each in kind]
        for process in started:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 15
        for process in started:
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def check(self) -> None:
        """Raise RuntimeError where a process has ended."""
        for kind, started in self.processes.items():
            if any(process.poll() is not None for process in started):
                message = f"a process of the kind {kind} has ended: see its log"
                raise RuntimeError(message)

    def figures(self) -> dict[str, float]:
        """The fleet's own metrics, `name{label=value}` each, added up over all its processes."""
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=20) as answer:  # noqa: S310  # our own
            text = answer.read().decode()
        return {
            sample.name + "".join(f"{{{name}={value}}}" for name, value in sample.labels.items()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith(("frames_", "detection_total", "pipeline_errors", "frame_interval"))
        }


def prepare_environment(folder: Path, weights: str, *, burst_detections: int, pool: ExitStack) -> None:
    """Set what all processes of the fleet are told; a Redis of its own is started unless one is named."""
    (folder / "metrics").mkdir(parents=True)
    model_file = {
        "model": {"name": str(Path(weights).resolve())},
        "tracking": {"burst_detections": burst_detections},
        "llm": {"enabled": False},
    }
    (folder / "model_config.yaml").write_text(yaml.safe_dump(model_file))
    if "REDIS_URL" not in os.environ:
        server = start_redis(folder)
        pool.callback(server.stop)
        os.environ |= {"REDIS_URL": server.url, "BENCH_REDIS_PID": str(server.process.pid)}
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "trafficmon.settings",
        "ALGO_SECRET_KEY": secrets.token_hex(32),
        "ALGO_FIELD_KEY": secrets.token_hex(32),
        "ALGO_RUN_DIR": str(folder),
        "ALGO_MEDIA_ROOT": str(folder / "media"),
        "ALGO_MODEL_CONFIG_PATH": str(folder / "model_config.yaml"),
        "ALGO_CAMERA_NETWORKS": "127.0.0.0/8",
        "ALGO_LANGUAGE": "en",
        "ALGO_LOG_LEVEL": "WARNING",
        "ALGO_SERVER_HOST": "127.0.0.1",
        "ALGO_SERVER_PORT": str(free_port()),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


@contextmanager
def running_fleet(folder: Path, *, captures: int, detection_threads: int) -> Iterator[Fleet]:
    """The fleet, once its web side answers."""
    port = os.environ["ALGO_SERVER_PORT"]
    fleet = Fleet(f"http://127.0.0.1:{port}")
    web = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", port, "--access-log", os.devnull]
    commands = {
        "detection": celery_worker([Queue.DETECT], name="detection", threads=detection_threads),
        "results": celery_worker([Queue.RESULTS], name="results", threads=3),
        "beat": [sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon", "beat"],
        "web": [*web, "trafficmon.asgi:application"],
    }
    try:
        for kind, command in commands.items():
            fleet.start(kind, command, folder / f"{kind}.log")
        for _process in range(captures):
            fleet.start("capture", [sys.executable, "manage.py", "capture"], folder / "capture.log")
        if "BENCH_REDIS_PID" in os.environ:
            fleet.servers["redis"] = [int(os.environ["BENCH_REDIS_PID"])]
        _wait_until_healthy(fleet)
        yield fleet
    finally:
        fleet.stop()


@contextmanager
def running_web(folder: Path) -> Iterator[Fleet]:
    """The web side alone, as the fleet starts it, once it answers."""
    from workers.fleet import web_command  # reads the settings, which come after this module

    port = os.environ["ALGO_SERVER_PORT"]
    fleet = Fleet(f"http://127.0.0.1:{port}")
    try:
        fleet.start("web", web_command("-b", "127.0.0.1", "-p", port), folder / "web.log")
        _wait_until_healthy(fleet)
        yield fleet
    finally:
        fleet.stop()


def _wait_until_healthy(fleet: Fleet) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        fleet.check()
        try:
            urllib.request.urlopen(f"{fleet.address}/health/health_check", timeout=5).close()  # noqa: S310  # our own
        except (URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the web side did not answer in time: see web.log")
