"""The benches of the live feed and of the wall say what they promise; so short that their figures mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.environment import PREPARED
from tests.load.fleet import ROOT

pytestmark = pytest.mark.e2e

LONGEST_SECONDS = 600


def run(module: str, *options: str) -> dict[str, Any]:
    """The JSON line that a bench prints last; it is told nothing of the suite's own Redis and database."""
    theirs = {"REDIS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE", PREPARED}
    environment = {name: value for name, value in os.environ.items() if name not in theirs and "ALGO_" not in name}
    command = [sys.executable, "-m", f"tests.load.{module}", *options]
    how: dict[str, Any] = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    told = subprocess.run(command, check=False, timeout=LONGEST_SECONDS, **how)
    assert told.returncode == 0, told.stderr
    figures: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return figures


def test_bench_live_measures_both_ways_of_pictures() -> None:
    small = ("--clients", "2", "--cameras", "3", "--interval", "0.6", "--seconds", "2.5", "--stalled-seconds", "1")
    figures = run("bench_live", *small)
    assert (figures["clients"], figures["cameras"]) == (2, 3)
    for way in (figures, figures["inline"]):
        assert way["messages_per_second"] > 0
        assert way["receive_seconds"]["p50"] > 0
        assert way["web_rss_mb"] > 20
    assert figures["inline"]["bytes_per_client_second"] > 2 * figures["bytes_per_client_second"]
    assert {"web_cpu_cores", "stalled_client_rss_mb", "held"} <= figures.keys()


def test_bench_wall_looks_at_the_heap_of_a_real_browser() -> None:
    figures = run(
        "bench_wall", "--cameras", "3", "--interval", "0.6", "--seconds", "3", "--every", "1", "--settle", "2"
    )
    assert figures["complaints"] == []
    assert len(figures["heap_mb"]) >= 4
    assert figures["main_thread_share"] > 0
    assert figures["live_tiles"] == 3
