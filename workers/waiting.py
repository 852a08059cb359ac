"""For how long work waits for a worker, by the queue that wakes one; messages themselves are only wake-ups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from django.db.models import Max, Min

from assessment.models import Assessment, FrameResult
from trafficmon.exports.deliver import backlogs
from trafficmon.notifications import outbox
from workers.pipeline import frame_store
from workers.queues import Queue


def longest_wait_seconds(queue: Queue, now: datetime) -> float:
    """Of the oldest work that nobody has begun; 0 where none waits. Raises RedisError for frames to detect."""
    if queue is Queue.DETECT:
        return frame_store().longest_wait_seconds()
    since = _WAITING_SINCE[queue](now)
    return max((now - since).total_seconds(), 0.0) if since else 0.0


def _questions_since(now: datetime, *, urgent: bool) -> datetime | None:
    waiting = Assessment.objects.claimable(now).filter(urgent=urgent, late=False)
    return cast("datetime | None", waiting.aggregate(first=Min("created_at"))["first"])


def _answered_since(_now: datetime) -> datetime | None:
    answered = FrameResult.objects.answered().annotate(at=Max("assessments__ended_at"))
    return cast("datetime | None", answered.aggregate(first=Min("at"))["first"])


def _events_since(_now: datetime) -> datetime | None:
    return min((each.since for each in backlogs() if each.since), default=None)


_WAITING_SINCE: Mapping[Queue, Callable[[datetime], datetime | None]] = {
    Queue.ASSESS: lambda now: _questions_since(now, urgent=False),
    Queue.ASSESS_URGENT: lambda now: _questions_since(now, urgent=True),
    Queue.RESULTS: _answered_since,
    Queue.OUTBOUND: outbox.waiting_since,
    Queue.EXPORTS: _events_since,
}
