"""What time brings about: lost wake-ups sent again, deadlines, alerts that end, cameras gone quiet, old rows."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.conf import settings

from assessment import alerts, evidence, results
from assessment.models import Assessment, FrameResult
from cameras.frames import connect_redis
from cameras.health import mark_stale
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.live import publish
from workers.pipeline import WakeUp
from workers.queues import Queue

log = structlog.get_logger()

MOST_WAKE_UPS = 100
WAKE_AFTER = timedelta(seconds=3)
"""A question this old should have been taken: its wake-up may be lost."""


def sweep_unfinished() -> list[WakeUp]:
    """End what is overdue and say what has to be woken again."""
    now = utc_now()
    overdue = results.expire_overdue(now=now)
    for change in alerts.close_unseen(now=now):
        publish.publish_alert(change.alert_id, change.change)
    for camera_id in mark_stale(now):
        publish.publish_camera_status(camera_id, up=False, message="no new picture")
    unclosed = FrameResult.objects.answered().filter(detected_at__lte=now - WAKE_AFTER)
    closable = dict.fromkeys([*overdue, *unclosed.values_list("pk", flat=True)[:MOST_WAKE_UPS]])
    return [*(WakeUp(Queue.RESULTS, pk) for pk in closable), *_forgotten_questions()]


def _forgotten_questions() -> list[WakeUp]:
    """Questions that should have been taken by now, none while messages still wait for a worker."""
    if any(connect_redis().llen(queue) for queue in (Queue.ASSESS, Queue.ASSESS_URGENT)):
        return []
    now = utc_now()
    waiting = Assessment.objects.claimable(now).filter(created_at__lte=now - WAKE_AFTER).most_pressing_first()
    chosen = waiting.values_list("pk", "urgent")[:MOST_WAKE_UPS]
    return [WakeUp(Queue.ASSESS_URGENT if urgent else Queue.ASSESS, pk) for pk, urgent in chosen]


def measure_waiting() -> None:
    """Set the gauges of what waits on each queue and for how long."""
    for queue in Queue:
        metrics.task_queue_size.labels(queue).set(connect_redis().llen(queue))
    oldest = Assessment.objects.pending().order_by("created_at").values_list("created_at", flat=True).first()
    lag = (utc_now() - oldest).total_seconds() if oldest else 0.0
    metrics.queue_consumer_lag.labels(Queue.ASSESS).set(lag)


def forget_old_frames() -> None:
    """Keep the tables small: calm frames go first, risky ones and their evidence later."""
    now = utc_now()
    risky_before = now - timedelta(days=settings.ENVIRONMENT.risk_retention_days)
    calm_before = now - timedelta(hours=settings.ENVIRONMENT.frame_retention_hours)
    pictures = evidence.forget_evidence(before=risky_before)
    frames = results.forget_frames(calm_before=calm_before, risky_before=risky_before)
    if frames or pictures:
        log.info("retention.forgotten", frames=frames, pictures=pictures)
