"""How many road users crossed which counting line, hour by hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.db.models import F

from assessment.models import LineCount
from cameras.models import CountingLine
from detection.detections import Crossing
from trafficmon.pruning import SECONDS, prune


def add_crossings(crossings: Sequence[Crossing], *, at: datetime) -> None:
    """Add each crossing to the count of the hour of `at`; to be called in the transaction that stores their frame.

    The database adds, so that two frames stored at once lose nothing.
    """
    if not crossings:
        return
    # Detection may know a line that was deleted a moment ago.
    lines = set(CountingLine.objects.filter(pk__in={each.line_id for each in crossings}).values_list("pk", flat=True))
    known = Counter(each for each in crossings if each.line_id in lines)
    hour = at.replace(minute=0, second=0, microsecond=0)
    # In one order everywhere: transactions that wait for each other's rows would never end.
    for crossing, count in sorted(known.items(), key=lambda pair: str(pair[0])):
        row = {"line_id": crossing.line_id, "hour": hour, "object_class": crossing.object_class.value}
        row["direction"] = crossing.direction.value
        LineCount.objects.bulk_create([LineCount(**row)], ignore_conflicts=True)
        LineCount.objects.filter(**row).update(count=F("count") + count)


def forget_counts(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the counts of the hours before a moment; how many rows went."""
    return prune(LineCount.objects.filter(hour__lt=before), seconds=seconds)
