"""The suite's own environment, set before Django reads its settings: secrets, folders, and a Redis of its own.

REDIS_URL and DATABASE_URL, where set, are used instead; of that Redis only one database, which is emptied.
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
"""Set once the environment is prepared, so that processes that tests start share it."""


def prepare_environment() -> None:
    """Point every setting at this run's own things, once."""
    if PREPARED in os.environ:
        return
    for name in [name for name in os.environ if name.startswith(("ALGO_", "DASHSCOPE", "OTEL_"))]:
        del os.environ[name]
    run_dir = Path(tempfile.mkdtemp(prefix="trafficmon-tests-"))
    os.environ |= {
        PREPARED: str(run_dir),
        "ALGO_SECRET_KEY": secrets.token_hex(32),
        "ALGO_FIELD_KEY": secrets.token_hex(32),
        "ALGO_RUN_DIR": str(run_dir),
        "ALGO_MEDIA_ROOT": str(run_dir / "media"),
        "ALGO_LANGUAGE": "en",
        "ALGO_TIME_ZONE": "UTC",
        "REDIS_URL": _redis_url(run_dir),
    }
    atexit.register(shutil.rmtree, run_dir, ignore_errors=True)


def _redis_url(run_dir: Path) -> str:
    named = os.environ.get("REDIS_URL")
    if named:
        return f"{named.rstrip('/').removesuffix('/0')}/{TEST_DATABASE_NUMBER}"
    server = start_redis(run_dir)
    atexit.register(server.stop)
    return server.url
