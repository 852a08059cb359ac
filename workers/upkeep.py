"""What time brings about: lost wake-ups sent again, deadlines, alerts that end, cameras gone quiet, old rows."""

from __future__ import annotations

import shutil
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from assessment import alerts, camera_lost, counts, evidence, hours, keys, ledger, results, review
from assessment.clients import UnableToAssess
from assessment.key_record import records_of
from assessment.ladder import LadderState
from assessment.latency import least_seconds
from assessment.limits import KeyState
from assessment.models import Assessment, FrameResult
from assessment.service_level import adjust_ladder
from cameras.frames import FrameRef, connect_redis
from cameras.health import forget_states, mark_stale
from cameras.load import adjust_pace
from cameras.pacing import Pace
from trafficmon.accounts import audit
from trafficmon.back_office import reports
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.live import publish
from trafficmon.notifications import outbox
from workers.health import WATCH_KEY, WATCH_SECONDS
from workers.pipeline import WakeUp, count_drop, frame_store
from workers.queues import Queue, waiting_on
from workers.rules import fresh_for
from workers.runtime import LEAST_FREE_BYTES

log = structlog.get_logger()

MOST_WAKE_UPS = 100
MOST_QUESTIONS_WOKEN = 1000
"""By each sweep: as many as the workers of a large pool of keys answer until the next."""
FORGETTING_SECONDS = 30.0
"""Of each minute at the most; what is left goes in the next."""
WAKE_AFTER = timedelta(seconds=3)
"""A question this old should have been taken: its wake-up may be lost."""


def sweep_unfinished() -> list[WakeUp]:
    """End what is overdue and say what has to be woken again."""
    now = utc_now()
    frames = _forgotten_frames()
    overdue = results.expire_overdue(now=now, least=_least_time())
    for camera_id in mark_stale(now, stretch=_follow_load(now)):
        publish.publish_camera_status(camera_id, up=False, message="no new picture")
    for change in [*alerts.close_unseen(now=now), *_watch_cameras(now)]:
        publish.publish_alert(change.alert_id, change.change)
    unclosed = FrameResult.objects.answered().filter(detected_at__lte=now - WAKE_AFTER)
    closable = dict.fromkeys([*overdue, *unclosed.values_list("pk", flat=True)[:MOST_WAKE_UPS]])
    told = [WakeUp(Queue.OUTBOUND, 0)] if outbox.is_due(now) or reports.is_due(now) else []
    return [*(WakeUp(Queue.RESULTS, pk) for pk in closable), *_forgotten_questions(), *frames, *told]


def _least_time() -> timedelta:
    return timedelta(seconds=least_seconds(connect_redis(), settings.ENVIRONMENT.llm_model))


def _forgotten_frames() -> list[WakeUp]:
    """Take from dead workers what they held, and find the cameras for which no wake-up is on its way."""
    store = frame_store()
    overdue = store.overdue()
    stored = FrameResult.objects.filter(frame_key__in=[ref.frame_key for ref in overdue])
    finished = set(stored.values_list("frame_key", flat=True))
    freed = [ref.camera_id for ref in overdue if _end_overdue(ref, is_stored=ref.frame_key in finished)]
    unserved = store.unserved(queued=waiting_on(Queue.DETECT))[:MOST_WAKE_UPS]
    store.expect(unserved)
    return [WakeUp(Queue.DETECT, camera_id) for camera_id in dict.fromkeys([*freed, *unserved])]


def _end_overdue(ref: FrameRef, *, is_stored: bool) -> bool:
    """Let another worker detect the frame while it is fresh, else count it; whether its camera is to be woken.

    A stored one is nothing that anybody has to detect or count.
    """
    now = utc_now()
    returned = frame_store().give_back(ref, fresh_after=now if is_stored else now - fresh_for(ref.camera_id))
    if is_stored:
        return returned.wake
    if returned.dropped:
        count_drop(ref, "worker_lost")
    if returned.dropped or returned.wake:
        log.warning("frame.worker_lost", camera_id=ref.camera_id, dropped=returned.dropped)
    return returned.wake


def _watch_cameras(now: datetime) -> list[alerts.AlertChange]:
    """Alerts about lost cameras that end and begin.

    A fleet that has just been started gives its cameras their time: how long they were gone before, nobody watched.
    """
    grace = timedelta(seconds=settings.ENVIRONMENT.camera_lost_seconds)
    client = connect_redis()
    begun = now.timestamp() if client.set(WATCH_KEY, now.timestamp(), nx=True) else float(client.get(WATCH_KEY) or 0)
    client.expire(WATCH_KEY, WATCH_SECONDS)
    ended = camera_lost.close_found(now=now)
    if now.timestamp() - begun < grace.total_seconds():
        return ended
    with transaction.atomic():
        opened = camera_lost.open_lost(now=now, grace=grace)
        outbox.note(opened, now=now)
    return [*ended, *opened]


def _follow_load(now: datetime) -> float:
    """Let the pace and the ladder follow the load, told to everybody when either changes; the stretch from now on."""
    (pace, new_pace), (ladder, new_ladder) = _keep_pace(), _keep_ladder(now)
    if pace.stretch != new_pace.stretch or (ladder.level, ladder.reason) != (new_ladder.level, new_ladder.reason):
        publish.publish_load(new_pace.stretch, new_ladder)
    return new_pace.stretch


def _keep_pace() -> tuple[Pace, Pace]:
    """The pace as it was and as it is from now on."""
    interval = settings.ENVIRONMENT.frame_interval
    before, after = adjust_pace(connect_redis(), interval_seconds=interval)
    metrics.frame_interval_stretch.set(after.stretch)
    if after.stretch != before.stretch:
        log.warning("load.stretch_changed", stretch=round(after.stretch, 2), before=round(before.stretch, 2))
    return before, after


def _keep_ladder(now: datetime) -> tuple[LadderState, LadderState]:
    """How far assessment was reduced, and is from now on."""
    before, after = adjust_ladder(connect_redis(), now=now)
    metrics.assessment_ladder_level.set(after.level.step)
    if after.level is not before.level:
        log.warning("ladder.level_changed", level=after.level, before=before.level, reason=after.reason)
    return before, after


def _forgotten_questions() -> list[WakeUp]:
    """The questions that should have been taken by now and for which no message waits."""
    now = utc_now()
    messages = sum(waiting_on(queue) for queue in (Queue.ASSESS, Queue.ASSESS_URGENT))
    waiting = Assessment.objects.claimable(now).filter(created_at__lte=now - WAKE_AFTER).most_pressing_first()
    missing = max(0, waiting.count() - messages)
    chosen = waiting.values_list("pk", "urgent")[: min(missing, MOST_QUESTIONS_WOKEN)]
    return [WakeUp(Queue.ASSESS_URGENT if urgent else Queue.ASSESS, pk) for pk, urgent in chosen]


def measure_waiting() -> None:
    """Set the gauges of what waits on each queue and for how long."""
    metrics.forget_dead_processes()
    for queue in Queue:
        metrics.task_queue_size.labels(queue).set(waiting_on(queue))
    asked = Assessment.objects.pending().filter(late=False)
    oldest = asked.order_by("created_at").values_list("created_at", flat=True).first()
    lag = (utc_now() - oldest).total_seconds() if oldest else 0.0
    metrics.queue_consumer_lag.labels(Queue.ASSESS).set(lag)
    try:
        standings = keys.standings(settings.ENVIRONMENT.llm_model)
    except UnableToAssess as error:
        log.warning("keys.not_measured", error=str(error))
        return
    metrics.api_key_pool_size.set(len(standings))
    records = records_of([each.key_id for each in standings])
    for standing, record in zip(standings, records, strict=True):
        metrics.api_key_status.labels(standing.key_id).set(_STATUS[standing.state])
        metrics.api_key_cooldown.labels(standing.key_id).set(standing.until_seconds)
        metrics.api_key_success_rate.labels(standing.key_id).set(record.success_rate)


_STATUS = {KeyState.DISABLED: 0, KeyState.COOLING: 1, KeyState.IN_USE: 2, KeyState.AVAILABLE: 3}


def forget_old_frames() -> None:
    """Keep the tables small: calm frames go first, risky ones and their evidence later, alerts and counts last."""
    environment, now = settings.ENVIRONMENT, utc_now()
    hours.add_up_hours(now=now)
    risky_before = now - timedelta(days=environment.risk_retention_days)
    calm_before = now - timedelta(hours=environment.frame_retention_hours)
    frames, until = 0, time.monotonic() + FORGETTING_SECONDS
    while gone := results.forget_frames(calm_before=calm_before, risky_before=risky_before):
        frames += gone
        if time.monotonic() > until:
            break
    # A day later than the rows, so that no page still names a picture that is gone; sooner when the disk is filling up.
    filling_up = shutil.disk_usage(settings.MEDIA_ROOT).free < LEAST_FREE_BYTES
    pictures = evidence.forget_pictures(before=now if filling_up else risky_before - timedelta(days=1))
    if filling_up:
        log.error("retention.disk_full", folder=str(settings.MEDIA_ROOT), pictures=pictures)
    alerts_gone = alerts.forget_alerts(before=now - timedelta(days=environment.alert_retention_days))
    counted_before = now - timedelta(days=environment.count_retention_days)
    counts_gone = counts.forget_counts(before=counted_before)
    hours_gone = hours.forget_hours(before=counted_before)
    spending_gone = ledger.forget_spending(before=counted_before)
    audit_gone = audit.forget_entries(before=now - timedelta(days=environment.audit_retention_days))
    states_gone = forget_states(before=risky_before)
    call_command("clearsessions")
    judgements_gone = review.forget_judgements(before=counted_before)
    reports.forget_reports(before=counted_before)
    outbox.forget_messages(before=risky_before)
    rows = {
        "alerts": alerts_gone,
        "judgements": judgements_gone,
        "states": states_gone,
        "counts": counts_gone,
        "hours": hours_gone,
        "spending": spending_gone,
        "audit": audit_gone,
    }
    log.info("retention.done", frames=frames, pictures=pictures, **rows)
