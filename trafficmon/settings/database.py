"""DATABASE_URL as Django's settings: SQLite in the run directory unless another is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url

from trafficmon.settings.environment import ConfigurationError


def database_settings(url: str, run_dir: Path, *, password: str = "") -> dict[str, Any]:
    """Django's settings of the one database, with the password where it is not in the address.

    Raises ConfigurationError for an address that means nothing.
    """
    try:
        parsed: dict[str, Any] = dict(
            dj_database_url.parse(
                url or f"sqlite:///{run_dir / 'trafficmon.sqlite3'}", conn_max_age=60, conn_health_checks=True
            )
        )
    except (ValueError, KeyError):
        raise ConfigurationError("DATABASE_URL: use an address such as postgres://user:password@host/name") from None
    if password:
        parsed["PASSWORD"] = password
    # Django's own, with queries counted and timed.
    parsed["ENGINE"] = parsed["ENGINE"].replace("django.db.backends", "django_prometheus.db.backends")
    if parsed["ENGINE"].endswith("sqlite3"):
        # Writers queue up for the lock at BEGIN; a deferred transaction that turns writer later would fail at once.
        parsed["OPTIONS"] = {
            "timeout": 30,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
        }
        parsed["TEST"] = {"NAME": str(run_dir / "test.sqlite3")}
    return parsed
