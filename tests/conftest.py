"""What every tier of the suite uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from django.conf import settings
from hypothesis import HealthCheck

from assessment import keys, ledger
from assessment.service_level import current_ladder
from workers import rules

# How long an example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any-machine")

TESTS = Path(__file__).parent
BROWSED, FAULTS, INTEGRATED = (TESTS / name for name in ("e2e", "faults", "integration"))
IN_REAL_TIME = {
    BROWSED / "test_demo.py",
    *FAULTS.glob("test_*.py"),
    *(
        INTEGRATED / f"test_{name}.py"
        for name in ("capture_killed", "detection_workers", "fleet", "leaving", "rtsp", "rtsp_capture", "rtsp_server")
    ),
}
"""Those that start fleets, or read cameras as time goes by: one of these after another, in one process."""


def pytest_report_header() -> list[str]:
    """Say which services this run uses."""
    database = settings.DATABASES["default"]
    where = f" on {database['HOST']}" if database.get("HOST") else ""
    return [f"database: {database['ENGINE'].rsplit('.', 1)[-1]}{where}", f"redis: {settings.REDIS_URL.rsplit('@')[-1]}"]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Share the suite out between processes, file by file, where there are several (`make unit`)."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group("real-time" if item.path in IN_REAL_TIME else item.path.stem))
        if item.path in IN_REAL_TIME or item.path.parent == BROWSED:
            # A noisy machine may stall processes that a test has started for longer than any limit: it is tried once
            # more, and the summary says so. What is really wrong fails twice. Never for tests that start none.
            item.add_marker(pytest.mark.flaky(reruns=1))
    yield  # the marks are read, and the order made random
    # What takes longest begins first; the sort is stable, so that the order within stays random.
    items.sort(key=lambda item: (item.path not in IN_REAL_TIME, item.path.parent != BROWSED))


@pytest.fixture(autouse=True)
def no_camera_known() -> None:
    """Rows of one test are not those of the next, though their numbers may be."""
    rules.known_cameras.clear()


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Nor are its keys, prices and spending, and its ladder."""
    keys.forget_pool()
    ledger.forget_remembered()
    current_ladder.forget()


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """A real Redis, empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()
