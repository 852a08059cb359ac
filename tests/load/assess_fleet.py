"""Workers that assess, with a database, a Redis and a simulated provider of their own, and questions for them."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

from tests.load.fleet import Fleet
from tests.servers import Postgres, running_postgres
from trafficmon.core.redis_server import RedisServer, start_redis
from workers.queues import Queue
from workers.runtime import celery_worker, free_port


@dataclass(frozen=True, slots=True)
class Terms:
    """How large everything is; rates are of each account."""

    accounts: int = 10
    per_second: int = 10
    latency_seconds: float = 1.5
    latency_sigma: float = 0.3
    processes: int = 2
    threads: int = 160
    patience_seconds: float = 60
    call_seconds: float = 30
    """How long a call may take."""


@dataclass(slots=True)
class Surroundings:
    """What the workers stand on."""

    fleet: Fleet
    postgres: Postgres
    redis: RedisServer
    simulator: str

    def stats(self) -> dict[str, Any]:
        """What the simulator has counted."""
        return stats_of(self.simulator)

    def control(self, **order: object) -> None:
        """Give the simulator an order."""
        request = urllib.request.Request(  # noqa: S310  # our own
            f"{self.simulator}/_control", json.dumps(order).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def secret_of(number: int) -> str:
    return f"sk-bench-{number:02}"


def stats_of(simulator: str) -> dict[str, Any]:
    """What the simulator at this address has counted."""
    with urllib.request.urlopen(f"{simulator}/_stats", timeout=10) as answer:  # noqa: S310  # our own
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def surroundings(folder: Path, terms: Terms) -> Iterator[Surroundings]:
    """Everything but the workers, with the database migrated and the keys in it; Django is set up for it."""
    with ExitStack() as pool:
        postgres = pool.enter_context(running_postgres(folder))
        server = start_redis(folder)
        pool.callback(server.stop)
        port = free_port()
        _tell_environment(folder, postgres.url, server.url, port, terms)
        fleet = Fleet("")
        pool.callback(fleet.stop)
        simulator = start_simulator(fleet, folder, port, terms)
        django.setup()
        call_command("migrate", verbosity=0)
        _store_keys(terms)
        around = Surroundings(fleet, postgres, server, simulator)
        fleet.servers["redis"] = [server.process.pid]
        fleet.servers["postgres"] = [postgres.process.pid] if postgres.process else []
        wait_for_simulator(simulator)
        yield around


def _tell_environment(folder: Path, database: str, redis_url: str, port: int, terms: Terms) -> None:
    (folder / "metrics").mkdir()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "trafficmon.settings",
        "ALGO_SECRET_KEY": secrets.token_hex(32),
        "ALGO_FIELD_KEY": secrets.token_hex(32),
        "ALGO_RUN_DIR": str(folder),
        "ALGO_MEDIA_ROOT": str(folder / "media"),
        "ALGO_LANGUAGE": "en",
        "ALGO_LOG_LEVEL": "WARNING",
        "ALGO_LLM_BASE_URL": f"http://127.0.0.1:{port}/api/v1",
        "ALGO_LLM_TIMEOUT": str(terms.call_seconds),
        "ALGO_ASSESSMENT_DEADLINE_SECONDS": str(terms.patience_seconds),
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


def start_simulator(fleet: Fleet, folder: Path, port: int, terms: Terms) -> str:
    """Start a provider of these terms that has seen nothing yet; its address."""
    keys = [word for number in range(terms.accounts) for word in ("--key", secret_of(number))]
    latency = ["--latency", str(terms.latency_seconds), "--latency-sigma", str(terms.latency_sigma)]
    limit = ["--rps", str(terms.per_second)]
    simulator = (sys.executable, "-m", "assessment.simulator", "--port", str(port), *limit)
    fleet.start("simulator", [*simulator, *latency, *keys], folder / "simulator.log")
    fleet.put_first("simulator")  # it stands for machines of another's
    return f"http://127.0.0.1:{port}"


def _store_keys(terms: Terms) -> None:
    from django.conf import settings

    from assessment.models import Account, ApiKey
    from trafficmon.core.encryption import encrypt

    for number in range(terms.accounts):
        account = Account.objects.create(slug=f"acct-{number:02}", requests_per_second=terms.per_second)
        secret = encrypt(secret_of(number), key=settings.FIELD_KEY)
        ApiKey.objects.create(slug=f"key-{number:02}", account=account, secret_encrypted=secret)


def wait_for_simulator(simulator: str) -> None:
    """Until it answers; raises OSError where it does not in time."""
    until = time.monotonic() + 20
    while True:
        try:
            stats_of(simulator)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


def start_workers(around: Surroundings, folder: Path, terms: Terms) -> None:
    """What an operator would start for assessment: its workers, the one for results, and the clock."""
    fleet = around.fleet
    for number in range(terms.processes):
        start_assessment(fleet, folder, terms, number)
    fleet.start("results", celery_worker([Queue.RESULTS], name="results", threads=3), folder / "results.log")
    beat = [sys.executable, "-m", "celery", "--quiet", "-A", "trafficmon", "beat"]
    fleet.start("beat", beat, folder / "beat.log")


def start_assessment(fleet: Fleet, folder: Path, terms: Terms, number: int) -> None:
    """One more process that assesses."""
    queues = [Queue.ASSESS_URGENT, Queue.ASSESS]
    command = celery_worker(queues, name=f"assessment-{number}", threads=terms.threads)
    fleet.start("assessment", command, folder / "assessment.log")
