"""Old rows deleted a few at a time, so that no lock and no transaction is long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from django.db.models import QuerySet

Item = TypeVar("Item")
AT_ONCE = 1000
SECONDS = 10.0
"""What is left after so long goes the next time."""


def in_time(items: Iterable[Item], *, seconds: float) -> Iterator[Item]:
    """The items for which there is time, the first in any case."""
    until = time.monotonic() + seconds
    for item in items:
        yield item
        if time.monotonic() > until:
            return


def repeat(take: Callable[[], int], *, seconds: float) -> int:
    """Call `take`, once at least, until it finds nothing or the time is over; the sum of what it found."""
    return sum(in_time(iter(take, 0), seconds=seconds))


def prune(rows: QuerySet[Any], *, at_once: int = AT_ONCE, seconds: float = SECONDS) -> int:
    """Delete the rows in batches of their own until none is left or the time is over; how many of this kind went.

    Whoever deletes in between is no trouble: what is gone is not counted.
    """
    label, keys = rows.model._meta.label, rows.order_by("pk").values_list("pk", flat=True)

    def delete_some() -> int:
        gone: Mapping[str, int] = rows.model._default_manager.filter(pk__in=list(keys[:at_once])).delete()[1]
        return gone.get(label, 0)

    return repeat(delete_some, seconds=seconds)
