"""Settings and services of the whole suite: a Redis server of its own unless REDIS_URL names one."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

_RUN_DIR = tempfile.mkdtemp(prefix="trafficmon-tests-")
os.environ |= {
    "ALGO_SECRET_KEY": secrets.token_hex(32),
    "ALGO_FIELD_KEY": secrets.token_hex(32),
    "ALGO_RUN_DIR": _RUN_DIR,
    "ALGO_MEDIA_ROOT": str(Path(_RUN_DIR) / "media"),
    "ALGO_LANGUAGE": "en",
    "ALGO_TIME_ZONE": "UTC",
    "DJANGO_SETTINGS_MODULE": "trafficmon.settings",
}
for inherited in ("ALGO_DEMO", "DASHSCOPE_API_KEY", "ALGO_LLM_BASE_URL"):
    os.environ.pop(inherited, None)

import pytest
import redis

from trafficmon.core.redis_server import RedisServer, start_redis

TEST_DATABASE_NUMBER = 9
"""Of a Redis named by REDIS_URL the suite uses, and empties, only this database."""


def pytest_report_header() -> list[str]:
    database = os.environ.get("DATABASE_URL", "").split("@")[-1] or "SQLite"
    return [f"database: {database}", f"redis: {os.environ.get('REDIS_URL') or 'a server of its own'}"]


def _services() -> tuple[str, RedisServer | None]:
    named = os.environ.get("REDIS_URL")
    if named:
        return f"{named.rstrip('/').removesuffix('/0')}/{TEST_DATABASE_NUMBER}", None
    server = start_redis(Path(_RUN_DIR))
    return server.url, server


_REDIS_URL, _SERVER = _services()
os.environ["REDIS_URL"] = _REDIS_URL


def pytest_unconfigure() -> None:
    if _SERVER:
        _SERVER.stop()


@pytest.fixture
def redis_client() -> Iterator[redis.Redis]:
    """A real Redis, empty before and after."""
    client = redis.Redis.from_url(_REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()
