"""How the many threads of a worker share few connections to the database."""

from __future__ import annotations

from django.db import connection, connections

MOST_CONNECTIONS = 16
"""Of one process: a thread needs one for milliseconds before and after a call that takes seconds."""


def pool_connections(most: int = MOST_CONNECTIONS) -> None:
    """Let the threads of this process borrow from `most` connections (PostgreSQL; SQLite has no server to spare)."""
    for settings in connections.settings.values():
        if settings["ENGINE"].endswith("postgresql"):
            settings["CONN_MAX_AGE"] = 0
            settings["OPTIONS"] = {**settings["OPTIONS"], "pool": {"min_size": 1, "max_size": most, "timeout": 30}}


def lend_connection() -> None:
    """Give the thread's connection back while it waits for something else than the database."""
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
