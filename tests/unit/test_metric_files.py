"""Metrics of several processes that share a folder: real processes, some of which are killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from trafficmon.core.metric_files import read_host
from trafficmon.core.metrics import may_scrape

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, nobody can tell whether a process is gone")

COUNTING = """
import sys
from trafficmon.core import metrics
metrics.risk_alerts.labels("high").inc(2)
metrics.api_key_calls.labels("key-1").inc(3)
metrics.active_cameras.set(4)
metrics.llm_latency.labels("model").observe(0.3)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def counting() -> Iterator[subprocess.Popen[str]]:
    """A process that has counted, and stays until it is told to go."""
    command = [sys.executable, "-c", COUNTING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        try:
            yield process
        finally:
            process.kill()


def scraped() -> dict[str, float]:
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(read_host().decode())
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
    return {name: found[name] for name in found if name.startswith(("risk_alerts", "api_key", "active_", "llm_lat"))}


def test_processes_are_added_up_and_the_dead_keep_counts_but_no_gauges(folder: Path) -> None:
    with counting() as first, counting():
        assert scraped() == {
            "risk_alerts_total": 4.0,
            "api_key_total_calls": 6.0,
            "active_cameras": 8.0,
            "llm_latency_seconds_count": 2.0,
            "llm_latency_seconds_sum": 0.6,
        }
        first.kill()
        first.wait()
        for _scrape in range(2):
            assert scraped() == {
                "risk_alerts_total": 4.0,
                "api_key_total_calls": 6.0,
                "active_cameras": 4.0,
                "llm_latency_seconds_count": 2.0,
                "llm_latency_seconds_sum": 0.6,
            }
    assert scraped() == {
        "risk_alerts_total": 4.0,
        "api_key_total_calls": 6.0,
        "llm_latency_seconds_count": 2.0,
        "llm_latency_seconds_sum": 0.6,
    }


def test_files_do_not_grow_with_every_start(folder: Path) -> None:
    for _start in range(3):
        with counting():
            pass
        scraped()
    left = sorted(file.name for file in folder.iterdir())
    assert left == ["counter_departed.db", "gauge_sum_departed.db", "histogram_departed.db", "reading.lock"]
    assert scraped()["risk_alerts_total"] == 6.0


@pytest.mark.parametrize(
    ("authorization", "token", "is_local", "may"),
    [
        ("Bearer secret", "secret", False, True),
        ("Bearer secret", "secret", True, True),
        ("Bearer secreT", "secret", True, False),
        ("Bearer größer", "secret", True, False),
        ("", "secret", True, False),
        ("", "", True, True),
        ("Bearer anything", "", False, False),
    ],
)
def test_metrics_are_for_the_token_or_without_one_for_this_machine(
    authorization: str, token: str, is_local: bool, may: bool
) -> None:
    assert may_scrape(authorization, token=token, is_local=is_local) is may
