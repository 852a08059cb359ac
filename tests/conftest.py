"""What every tier of the suite uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import redis
from django.conf import settings
from hypothesis import HealthCheck

from assessment import keys, ledger
from assessment.service_level import current_ladder
from tests.sharing import Shares, is_tried_again, place
from workers import rules

# How long an example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any-machine")


def pytest_report_header() -> list[str]:
    """Say which services this run uses."""
    database = settings.DATABASES["default"]
    where = f" on {database['HOST']}" if database.get("HOST") else ""
    return [f"database: {database['ENGINE'].rsplit('.', 1)[-1]}{where}", f"redis: {settings.REDIS_URL.rsplit('@')[-1]}"]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """Have several processes share the suite as `tests/sharing.py` says."""
    return Shares(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what is tried again, and sort files once their order is random; the order within them stays so."""
    for item in items:
        if is_tried_again(item.path):
            item.add_marker(pytest.mark.flaky(reruns=1))
    yield
    items.sort(key=lambda item: place(item.path))


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
