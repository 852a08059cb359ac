"""A real Prometheus with the configuration that is shipped, on one host's exporter and one web process.

Of a whole fleet `make rehearsal` shows the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis

from assessment import keys
from assessment.models import Account, ApiKey
from tests.deployment.servers import NOT_INSTALLED, Prometheus, are_installed, running_prometheus
from tests.factories import seal
from tests.integration.test_metrics import CONTRACT
from tests.processes import Running, database_url, wait_until
from tests.rtsp_camera import is_continuous_integration
from workers.queues import Queue
from workers.runtime import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not are_installed() and not is_continuous_integration(), reason=NOT_INSTALLED),
]
TOKEN = "known-to-the-test"
WORK = """
import time
from prometheus_client.metrics import MetricWrapperBase
from trafficmon.core import metrics
for each in vars(metrics).values():
    if isinstance(each, MetricWrapperBase) and each._labelnames:
        each.labels(*each._labelnames)
metrics.detections.labels("7").inc(3)
print("counted", flush=True)
time.sleep(600)
"""
"""A process of the host with every metric that there is."""


@contextlib.contextmanager
def process(name: str, command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    running = Running([sys.executable, *command], folder / f"{name}.log", environment)
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture
def prometheus(tmp_path: Path, redis_client: redis.Redis) -> Iterator[Prometheus]:
    """It looks at one exporter, one web process, and itself, every second."""
    ApiKey.objects.create(slug="key-1", account=Account.objects.create(slug="acct-a"), secret_encrypted=seal())
    keys.forget_pool()
    (tmp_path / "metrics").mkdir()
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    host, web = free_port(), free_port()
    told = {
        "DATABASE_URL": database_url(),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
        "ALGO_METRICS_TOKEN": TOKEN,
        "ALGO_METRICS_PORT": str(host),
    }
    daphne = ["-m", "daphne", "-b", "127.0.0.1", "-p", str(web), "trafficmon.asgi:application"]
    with (
        process("work", ["-c", WORK], tmp_path, told) as work,
        process("exporter", ["manage.py", "metrics"], tmp_path, told),
        process("web", daphne, tmp_path, told),
        running_prometheus(
            tmp_path / "prometheus", host=f"127.0.0.1:{host}", web=f"127.0.0.1:{web}", token=tmp_path / "token"
        ) as found,
    ):
        work.wait_for("counted")
        yield found


def test_prometheus_scrapes_every_metric_of_the_contract_and_its_rules_evaluate(prometheus: Prometheus) -> None:
    up = dict.fromkeys(("trafficmon-hosts", "trafficmon-fleet", "prometheus"), "up")
    wait_until(lambda: prometheus.targets() == up, 120, failing=lambda: str(prometheus.targets()))
    wait_until(lambda: prometheus.value('detection_total{camera_id="7"}') == 3, 60)
    wait_until(lambda: prometheus.value("count(task_queue_size)") == len(Queue), 60)
    assert {name for name in CONTRACT if not prometheus.query(f'{{__name__=~"{name}(_count)?"}}')} == set()
    wait_until(lambda: health_of_rules(prometheus) == {"ok"}, 60, failing=lambda: str(prometheus.ask("rules")))


def health_of_rules(prometheus: Prometheus) -> set[str]:
    return {rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]}
