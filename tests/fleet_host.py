"""A host with nothing running but the servers that a fleet needs, and what is done on it by command."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import subprocess
import sys
import tempfile
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psycopg
from supervisor.xmlrpc import SupervisorTransport

from assessment.simulator import Latency, RunningSimulator, running_simulator
from tests.servers import running_postgres
from trafficmon.core.redis_server import start_redis
from workers.runtime import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = "600"
"""Seconds for which a fleet's processes may start: a machine that does something else as well takes long."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host with nothing running but the servers that a fleet needs."""

    folder: Path
    environment: dict[str, str]
    database: str
    simulator: RunningSimulator

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a command of manage.py says, and its status."""
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900, check=False
        )

    def succeed(self, *words: str) -> str:
        """What it says; it must succeed."""
        done = self.manage(*words)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        return "\n".join(f"{file.name}:\n{file.read_text()[-1500:]}" for file in self.folder.glob("logs/*.log"))

    def pids(self) -> dict[str, int]:
        """The number of each process that is up, as supervisor has it: to ask a command of ours takes seconds."""
        transport = SupervisorTransport(None, None, f"unix://{self.folder}/fleet/control.sock")
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as server:
            seen: Any = server.supervisor.getAllProcessInfo()
        return {each["name"]: each["pid"] for each in seen if each["pid"]}

    def pauses(self, name: str) -> list[float]:
        """The seconds between each end of a process and its next start, in all fleets of this host."""
        noted = (self.folder / "logs" / "fleet.log").read_text()
        found = re.findall(rf"^(\S+ \S+) \w+ (exited|spawned): '?{name}\b", noted, re.M)
        events = [(what, datetime.fromisoformat(at)) for at, what in found]
        return [
            (later - earlier).total_seconds()
            for (before, earlier), (after, later) in pairwise(events)
            if (before, after) == ("exited", "spawned")
        ]

    def said(self, name: str) -> str:
        return (self.folder / "logs" / f"{name}.log").read_text(errors="replace")

    def supervisor(self) -> int:
        return int((self.folder / "fleet" / "supervisord.pid").read_text())

    def count(self, words: str) -> int:
        with psycopg.connect(self.database) as connection:
            [number] = connection.execute(f"SELECT count(*) FROM {words}").fetchone() or [0]  # noqa: S608  # our own
        return int(number)

    @contextlib.contextmanager
    def fleet(self, *options: str) -> Iterator[str]:
        """A fleet at work for as long as this lasts; what was said at its start."""
        try:
            yield self.succeed("fleet", "start", "--seconds", PATIENCE, *options)
        finally:
            self.manage("fleet", "stop")

    @contextlib.contextmanager
    def of_another_version(self) -> Iterator[None]:
        """The database lacks a migration for as long as this lasts."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            last = "DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations) RETURNING *"
            row = connection.execute(last).fetchone()
            try:
                yield
            finally:
                connection.execute("INSERT INTO django_migrations VALUES (%s, %s, %s, %s)", row)

    @contextlib.contextmanager
    def slow_model(self) -> Iterator[None]:
        """Answers take six seconds for as long as this lasts."""
        self.simulator.control(latency={"median_seconds": 6.0})
        try:
            yield
        finally:
            self.simulator.control(latency={"median_seconds": 0.3})

    def open(self, port: str, path: str, *, user: str = "") -> int:
        """The HTTP status of an address on this host."""
        headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
        address = f"http://127.0.0.1:{self.environment[port]}{path}"
        request = urllib.request.Request(address, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # our own
                return int(answer.status)
        except HTTPError as error:
            return error.code


@contextmanager
def running_host(**settings: str) -> Iterator[Host]:
    """A host with a PostgreSQL, a Redis and a simulated provider of its own; `settings` go before those given here."""
    # Below /tmp itself: PostgreSQL must get in, and paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="tm-fleet-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            running_postgres(folder) as postgres,
            running_simulator(latency=Latency(median_seconds=0.3)) as simulator,
        ):
            server = start_redis(folder)
            told = {
                "DATABASE_URL": postgres.url,
                "REDIS_URL": server.url,
                "DASHSCOPE_API_KEY": "sk-simulated",
                "ALGO_LLM_BASE_URL": simulator.base_url,
                "ALGO_SECRET_KEY": secrets.token_hex(32),
                "ALGO_FIELD_KEY": secrets.token_hex(32),
                "ALGO_RUN_DIR": name,
                "ALGO_MEDIA_ROOT": f"{name}/media",
                "ALGO_API_KEYS_PATH": f"{name}/api_keys.yaml",
                "ALGO_SERVER_HOST": "127.0.0.1",
                "ALGO_SERVER_PORT": str(free_port()),
                "ALGO_METRICS_PORT": str(free_port()),
                "ALGO_FLEET_THREADS": "assessment=4",
                "OMP_NUM_THREADS": "1",
                "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            }
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("ALGO_", "PROMETHEUS"))}
            try:
                yield Host(folder, kept | told | settings, postgres.url, simulator)
            finally:
                server.stop()
