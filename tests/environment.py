"""The suite's own environment, set before Django reads its settings: secrets, folders, and a Redis of its own.

REDIS_URL and DATABASE_URL, where set, are used instead; of that Redis only one database, which is emptied. Where
several processes share the suite, each has all of this of its own: of a Redis that was set, a database each.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from trafficmon.core.redis_server import start_redis

TEST_DATABASE_NUMBER = 9
PREPARED = "TRAFFICMON_TEST_RUN"
"""Names whose environment is prepared, so that processes that tests start share it."""
GIVEN_REDIS = "TRAFFICMON_TEST_REDIS"


def worker() -> str:
    """Which of several processes sharing the suite runs this or has started it: gw0, gw1, ...; "" in a single one."""
    return os.environ.get("PYTEST_XDIST_WORKER", "")


def prepare_environment() -> None:
    """Point every setting at this run's own things, once in each process that runs tests."""
    if os.environ.get(PREPARED) == f"prepared {worker()}":
        return
    for name in [name for name in os.environ if name.startswith(("ALGO_", "DASHSCOPE", "OTEL_"))]:
        del os.environ[name]
    run_dir = Path(tempfile.mkdtemp(prefix="trafficmon-tests-"))
    given_redis = os.environ.setdefault(GIVEN_REDIS, os.environ.get("REDIS_URL", ""))
    os.environ |= {
        PREPARED: f"prepared {worker()}",
        "ALGO_SECRET_KEY": secrets.token_hex(32),
        "ALGO_FIELD_KEY": secrets.token_hex(32),
        "ALGO_RUN_DIR": str(run_dir),
        "ALGO_MEDIA_ROOT": str(run_dir / "media"),
        "ALGO_LANGUAGE": "en",
        "ALGO_TIME_ZONE": "UTC",
        "REDIS_URL": _redis_url(given_redis, run_dir),
    }
    atexit.register(shutil.rmtree, run_dir, ignore_errors=True)


def _redis_url(given: str, run_dir: Path) -> str:
    if given:
        number = TEST_DATABASE_NUMBER + int(worker().removeprefix("gw") or 0)
        return f"{given.rstrip('/').removesuffix('/0')}/{number}"
    server = start_redis(run_dir)
    atexit.register(server.stop)
    return server.url
