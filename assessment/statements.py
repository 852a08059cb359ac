"""Statements that every question goes through: PostgreSQL parses and plans them once for each connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


class _Prepared(psycopg.Cursor[Any]):
    """Sends a statement once, and then its values only."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> _Prepared:
        super().execute(query, params, **(options | {"prepare": True}))
        return self


@contextmanager
def prepared_cursor() -> Iterator[Any]:
    """A cursor of prepared statements (PostgreSQL), or an ordinary one (SQLite, which keeps statements by itself).

    What the condition of a partial index asks for must stand in the statement: for a value the index is not found.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with connection.wrap_database_errors, _Prepared(connection.connection) as prepared:
                yield prepared
        else:
            yield cursor
