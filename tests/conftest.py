"""What every tier of the suite uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from assessment import keys, ledger
from assessment.service_level import current_ladder
from workers import rules


def pytest_report_header() -> list[str]:
    """Say which services this run uses."""
    database = settings.DATABASES["default"]
    where = f" on {database['HOST']}" if database.get("HOST") else ""
    return [f"database: {database['ENGINE'].rsplit('.', 1)[-1]}{where}", f"redis: {settings.REDIS_URL.rsplit('@')[-1]}"]


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
