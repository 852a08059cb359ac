"""What is old goes, a little at a time: calm frames first, risky ones by their level, alerts and counts last."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from django.conf import settings
from django.contrib.sessions.models import Session
from redis.exceptions import LockError

from assessment import alerts, counts, days, disk_guard, evidence, forgetting, hours, ledger, results, review
from assessment.risk import RiskLevel
from cameras.frames import connect_redis
from cameras.health import forget_states
from trafficmon.accounts import audit
from trafficmon.back_office import reports
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.exports.deliver import forget_events
from trafficmon.notifications import outbox
from trafficmon.pruning import prune, repeat

log = structlog.get_logger()

TASK = "forget_old_frames"
RUN_SECONDS = 40.0
"""Of each minute at the most, for all steps together; what is left goes in the next."""
LOCK, LOCK_SECONDS = "retention:running", 120.0
"""Held by the one run that there is; so long after it died there may be another."""
_A_DAY = timedelta(days=1)


class Step(Protocol):
    """Does its part for so many seconds, one batch at least; how many rows or files went."""

    def __call__(self, *, seconds: float) -> int: ...


def forget_old_frames() -> None:
    """Keep the tables small, and the disk of the pictures from filling up; nothing where another run is at it."""
    with _alone() as is_alone:
        if is_alone:
            log.info("retention.done", **_run(_steps(utc_now()), until=time.monotonic() + RUN_SECONDS))


@contextlib.contextmanager
def _alone() -> Iterator[bool]:
    """Whether there is no other run in the whole fleet, nor will be while this lasts."""
    lock = connect_redis().lock(LOCK, timeout=LOCK_SECONDS, blocking=False)
    is_alone = lock.acquire()
    try:
        yield is_alone
    finally:
        if is_alone:
            with contextlib.suppress(LockError):  # it took too long, and is another's by now
                lock.release()


def _run(steps: Mapping[str, Step], *, until: float) -> dict[str, int]:
    """Each step may take half of the time that is left, so that the last have some, too; what each came to."""
    return {name: _attempt(name, step, max(0.0, until - time.monotonic()) / 2) for name, step in steps.items()}


def _attempt(name: str, step: Step, seconds: float) -> int:
    try:
        return step(seconds=seconds)
    except Exception:  # the outermost loop of each step: the others go on, above all in the minutes that follow
        metrics.pipeline_errors.labels(TASK).inc()
        log.exception("retention.failed", step=name)
        return 0


def _steps(now: datetime) -> dict[str, Step]:
    """What is done, the most pressing first."""
    environment, frames_before = settings.ENVIRONMENT, _frames_before(now)
    risky_before = min(frames_before.values())
    counted_before = now - timedelta(days=environment.count_retention_days)
    alerts_before = now - timedelta(days=environment.alert_retention_days)
    audit_before = now - timedelta(days=environment.audit_retention_days)
    messages_before = now - timedelta(days=environment.risk_retention_days)
    return {
        "freed": guard_disk,
        "frames": partial(_forget_frames, frames_before),
        # Files that no row names any more; those of frames went with them.
        "pictures": partial(evidence.forget_pictures, before=risky_before - _A_DAY),
        "cameras": partial(forgetting.forget_removed, now=now),
        "hours_added_up": partial(hours.add_up_hours, now=now),
        "days_added_up": partial(days.add_up_days, now=now),
        "alerts": partial(alerts.forget_alerts, before=alerts_before),
        "judgements": partial(review.forget_judgements, before=counted_before),
        "states": partial(forget_states, before=risky_before),
        "hours": partial(hours.forget_hours, before=counted_before),
        "counts": partial(counts.forget_counts, before=counted_before),
        "spending": partial(ledger.forget_spending, before=counted_before),
        "audit": partial(audit.forget_entries, before=audit_before),
        "reports": partial(reports.forget_reports, before=counted_before),
        "messages": partial(outbox.forget_messages, before=messages_before),
        "events": partial(forget_events, now=now),
        "sessions": partial(prune, Session.objects.filter(expire_date__lt=now)),
    }


def _forget_frames(before: Mapping[RiskLevel, datetime], *, seconds: float) -> int:
    return repeat(partial(results.forget_frames, before), seconds=seconds)


def guard_disk(*, seconds: float = RUN_SECONDS / 2) -> int:
    """Give up evidence where the disk fills up, and say how it is; how many pictures went."""
    freed = disk_guard.free_space(seconds=seconds) if disk_guard.is_filling_up() else 0
    free, is_paused = disk_guard.free_bytes(), disk_guard.is_full()
    metrics.media_free.set(free)
    metrics.evidence_paused.set(is_paused)
    if freed or is_paused:
        metrics.evidence_freed.inc(freed)
        log.error("retention.disk_full", folder=str(settings.MEDIA_ROOT), freed=freed, free=free, paused=is_paused)
    return freed


def _frames_before(now: datetime) -> Mapping[RiskLevel, datetime]:
    """Up to when frames are forgotten, by the gravest level that they showed."""
    environment = settings.ENVIRONMENT
    risky = {level: now - timedelta(days=environment.risk_retention_of(level)) for level in RiskLevel}
    return risky | {RiskLevel.NONE: now - timedelta(hours=environment.frame_retention_hours)}
