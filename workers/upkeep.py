"""What time brings about: lost wake-ups sent again, deadlines, alerts that end, cameras gone quiet, old rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction

from assessment import alerts, camera_lost, results
from assessment.ladder import LadderState
from assessment.latency import least_seconds
from assessment.models import Assessment, FrameResult
from assessment.service_level import adjust_ladder, asked_model
from cameras.frames import FrameRef, connect_redis
from cameras.health import mark_stale
from cameras.load import adjust_pace
from cameras.pacing import Pace
from trafficmon.back_office import reports
from trafficmon.core.clock import utc_now
from trafficmon.exports import outbox as exports
from trafficmon.exports.deliver import due_sinks
from trafficmon.exports.models import SinkName
from trafficmon.live import publish
from trafficmon.notifications import outbox
from workers.health import WATCH_KEY, WATCH_SECONDS
from workers.pipeline import WakeUp, count_drop, frame_store
from workers.queues import Queue, waiting_on
from workers.rules import fresh_for

log = structlog.get_logger()

MOST_WAKE_UPS = 100
SINKS = SinkName.values
"""A wake-up names one by its place among them."""
MOST_QUESTIONS_WOKEN = 1000
"""By each sweep: as many as the workers of a large pool of keys answer until the next."""
WAKE_AFTER = timedelta(seconds=3)
"""A question this old should have been taken: its wake-up may be lost."""


def sweep_unfinished() -> list[WakeUp]:
    """End what is overdue and say what has to be woken again."""
    now = utc_now()
    frames = _forgotten_frames()
    overdue = results.expire_overdue(now=now, least=_least_time())
    for camera_id in mark_stale(now, stretch=_follow_load(now)):
        publish.publish_camera_status(camera_id)
    for change in [*_close_unseen(now), *_watch_cameras(now)]:
        publish.publish_alert(change.alert_id, change.change)
    unclosed = FrameResult.objects.answered().filter(detected_at__lte=now - WAKE_AFTER)
    closable = dict.fromkeys([*overdue, *unclosed.values_list("pk", flat=True)[:MOST_WAKE_UPS]])
    told = [WakeUp(Queue.OUTBOUND, 0)] if outbox.is_due(now) or reports.is_due(now) else []
    told += [WakeUp(Queue.EXPORTS, SINKS.index(sink)) for sink in due_sinks(now)]
    return [*(WakeUp(Queue.RESULTS, pk) for pk in closable), *_forgotten_questions(), *frames, *told]


def _least_time() -> timedelta:
    return timedelta(seconds=least_seconds(connect_redis(), asked_model()))


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


def _close_unseen(now: datetime) -> list[alerts.AlertChange]:
    with transaction.atomic():
        closed = alerts.close_unseen(now=now)
        exports.note_alerts(closed, now=now)
    return closed


def _watch_cameras(now: datetime) -> list[alerts.AlertChange]:
    """Alerts about lost cameras that end and begin.

    A fleet that has just been started gives its cameras their time: how long they were gone before, nobody watched.
    """
    grace = timedelta(seconds=settings.ENVIRONMENT.camera_lost_seconds)
    client = connect_redis()
    begun = now.timestamp() if client.set(WATCH_KEY, now.timestamp(), nx=True) else float(client.get(WATCH_KEY) or 0)
    client.expire(WATCH_KEY, WATCH_SECONDS)
    with transaction.atomic():
        ended = camera_lost.close_found(now=now)
        exports.note_alerts(ended, now=now)
    if now.timestamp() - begun < grace.total_seconds():
        return ended
    with transaction.atomic():
        opened = camera_lost.open_lost(now=now, grace=grace)
        outbox.note(opened, now=now)
        exports.note_alerts(opened, now=now)
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
    if after.stretch != before.stretch:
        log.warning("load.stretch_changed", stretch=round(after.stretch, 2), before=round(before.stretch, 2))
    return before, after


def _keep_ladder(now: datetime) -> tuple[LadderState, LadderState]:
    """How far assessment was reduced, and is from now on."""
    before, after = adjust_ladder(connect_redis(), now=now)
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
