"""Old rows deleted a few at a time, so that no lock and no transaction is long."""

from __future__ import annotations

import time
from typing import Any

from django.db.models import QuerySet

AT_ONCE = 1000
SECONDS = 10.0
"""Of each kind of rows in a minute; what is left goes in the next."""


def prune(rows: QuerySet[Any], *, at_once: int = AT_ONCE, seconds: float = SECONDS) -> int:
    """Delete the rows in batches of their own until none is left or the time is over; how many of this kind went.

    Whoever deletes in between is no trouble: what is gone is not counted.
    """
    gone, until, label = 0, time.monotonic() + seconds, rows.model._meta.label
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:at_once]):
        gone += rows.model._default_manager.filter(pk__in=keys).delete()[1].get(label, 0)
        if time.monotonic() > until:
            break
    return gone
