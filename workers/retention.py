"""What is old goes, a little at a time: calm frames first, risky ones by their level, alerts and counts last."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.management import call_command

from assessment import alerts, counts, days, disk_guard, evidence, hours, ledger, results, review
from assessment.risk import RiskLevel
from cameras.health import forget_states
from trafficmon.accounts import audit
from trafficmon.back_office import reports
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.exports.deliver import forget_events
from trafficmon.notifications import outbox

log = structlog.get_logger()

FORGETTING_SECONDS = 30.0
"""Of each minute at the most; what is left goes in the next."""
FREEING_SECONDS = 20.0
_A_DAY = timedelta(days=1)


def forget_old_frames() -> None:
    """Keep the tables small, and the disk of the pictures from filling up."""
    environment, now = settings.ENVIRONMENT, utc_now()
    hours.add_up_hours(now=now)
    days.add_up_days(now=now)
    frames_before = _frames_before(now)
    risky_before = min(frames_before.values())
    freed = guard_disk()
    frames = _forget_frames(frames_before)
    # Files that no row names any more; those of frames went with them.
    pictures = evidence.forget_pictures(before=risky_before - _A_DAY)
    counted_before = now - timedelta(days=environment.count_retention_days)
    rows = {
        "alerts": alerts.forget_alerts(before=now - timedelta(days=environment.alert_retention_days)),
        "judgements": review.forget_judgements(before=counted_before),
        "states": forget_states(before=risky_before),
        "hours": hours.forget_hours(before=counted_before),
        "counts": counts.forget_counts(before=counted_before),
        "spending": ledger.forget_spending(before=counted_before),
        "audit": audit.forget_entries(before=now - timedelta(days=environment.audit_retention_days)),
        "reports": reports.forget_reports(before=counted_before),
        "messages": outbox.forget_messages(before=now - timedelta(days=environment.risk_retention_days)),
        "events": forget_events(now=now),
    }
    call_command("clearsessions")
    log.info("retention.done", frames=frames, pictures=pictures, freed=freed, **rows)


def guard_disk() -> int:
    """Give up evidence where the disk fills up, and say how it is; how many pictures went."""
    freed = disk_guard.free_space(seconds=FREEING_SECONDS) if disk_guard.is_filling_up() else 0
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


def _forget_frames(before: Mapping[RiskLevel, datetime]) -> int:
    frames, until = 0, time.monotonic() + FORGETTING_SECONDS
    while gone := results.forget_frames(before):
        frames += gone
        if time.monotonic() > until:
            break
    return frames
