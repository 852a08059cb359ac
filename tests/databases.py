"""How a process that a test starts finds the test's own database."""

from __future__ import annotations

from django.db import connection


def database_url() -> str:
    """The URL of the test database, which the process's own settings would not name."""
    named = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{named['NAME']}"
    return f"postgresql://{named['USER']}:{named['PASSWORD']}@{named['HOST']}:{named['PORT']}/{named['NAME']}"
