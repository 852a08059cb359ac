"""Frames whose answers have come: closed together, as many as there are, by one worker that stays awake for them."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime

import redis
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from structlog.contextvars import bind_contextvars

from assessment import alerts, results
from assessment.alert_policy import ALERTING
from assessment.evidence import PictureGone, keep_evidence, picture_keys, pictures_of
from assessment.models import Assessment, FrameResult
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel
from cameras.frames import connect_redis
from detection.detect import PictureUnreadableError
from trafficmon.core import metrics, tracing
from trafficmon.core.clock import utc_now
from trafficmon.exports import outbox as exports
from trafficmon.live import publish
from trafficmon.notifications import outbox
from workers.pipeline import frame_store
from workers.stopping import STOPPING

log = structlog.get_logger()

AWAKE_KEY, AWAKE_MS = "results:awake", 2000
AWAKE_SECONDS = 60.0
REST_SECONDS = 0.2
"""Between two looks. A message for each answer would cost more than closing its frame."""
AT_ONCE = 50


def is_somebody_closing() -> bool:
    """Whether a worker looks for answered frames anyway, so that none need be woken."""
    try:
        return bool(connect_redis().exists(AWAKE_KEY))
    except redis.RedisError:
        return False


def close_answered() -> None:
    """Close every frame whose answers have all come, and go on while more of them come.

    Whoever is awake already closes them: several at once would look for the same frames.
    """
    client = connect_redis()
    if not client.set(AWAKE_KEY, 1, px=AWAKE_MS, nx=True):
        return
    try:
        _close_while_awake(client)
    finally:
        client.delete(AWAKE_KEY)
    # Whoever answered just before this has woken nobody.
    while _close_some():
        pass


def _close_while_awake(client: redis.Redis) -> None:
    until = time.monotonic() + AWAKE_SECONDS
    while time.monotonic() < until and not STOPPING.is_set() and _close_some():
        client.set(AWAKE_KEY, 1, px=AWAKE_MS)
        STOPPING.wait(REST_SECONDS)


def _close_some() -> int:
    """Close up to AT_ONCE frames; how many."""
    ids = list(FrameResult.objects.answered().values_list("pk", flat=True)[:AT_ONCE])
    risky = results.risky_among(ids) if ids else set()
    closed = close(sorted(set(ids) - risky))
    # Each by itself and in any order: should one of them fail, the others are closed sooner or later.
    return closed + sum(close([each]) for each in random.sample(sorted(risky), len(risky)))


def close(frame_result_ids: Sequence[int]) -> int:
    """Join the answers of frames once all have ended, raise their alerts, and tell the browsers; how many it closed."""
    if not frame_result_ids:
        return 0
    since = tracing.now()
    with transaction.atomic():
        frames = results.close_frames(frame_result_ids, now=utc_now())
        changes = [(frame.camera_id, alerts.apply_verdicts(frame)) for frame in frames]
        changed_alerts = [each for _camera_id, changed in changes for each in changed]
        outbox.note(changed_alerts, now=utc_now())
        exports.note_closed(frames, now=utc_now())
        exports.note_alerts(changed_alerts, now=utc_now())
    for frame, (_camera_id, changed) in zip(frames, changes, strict=True):
        bind_contextvars(camera_id=frame.camera_id, frame_key=frame.frame_key)
        asked_by = next((each.traceparent for each in frame.assessments.all()), "")
        with tracing.span(
            "close", parent=asked_by, since=since, camera_id=frame.camera_id, frame_key=frame.frame_key
        ) as step:
            step.note(outcome=frame.status, risk=frame.max_risk_level, partial=frame.partial)
            _tell(frame, changed)
    return len(frames)


def _tell(frame: FrameResult, changed: Sequence[alerts.AlertChange]) -> None:
    _measure(frame)
    _keep_guessed(frame)
    with tracing.span("publish", about="verdict"):
        publish.publish_verdict(frame)
    _tell_alerts(frame.camera_id, changed)


def _measure(row: FrameResult) -> None:
    """How long the verdict took: from capture, and without the model's own time; only what models answered counts."""
    asked = [each for each in row.assessments.all() if each.judged_by == JudgedBy.MODEL and not each.late]
    ended = [each.ended_at for each in asked if each.ended_at and each.status == AssessmentStatus.DONE]
    if ended and len(ended) == len(asked) and row.closed_at:
        _observe(row, closed_at=row.closed_at, answered_at=max(ended), answers=asked)


def _observe(row: FrameResult, *, closed_at: datetime, answered_at: datetime, answers: Sequence[Assessment]) -> None:
    took = (closed_at - row.captured_at).total_seconds()
    metrics.verdict_latency.observe(took)
    metrics.verdict_overhead.observe(max(took - max(each.llm_seconds or 0.0 for each in answers), 0.0))
    metrics.stage_seconds.labels("answer").observe((answered_at - row.detected_at).total_seconds())
    metrics.stage_seconds.labels("close").observe((closed_at - answered_at).total_seconds())


def _keep_guessed(row: FrameResult) -> None:
    """Keep the evidence of what geometry alone alarms of; that of models' verdicts was kept with them."""
    for each in row.assessments.all():
        if each.judged_by == JudgedBy.GEOMETRY and each.risk_level in ALERTING:
            frame, store = results.detected_frame(row), frame_store()
            try:
                keep_evidence(each.pk, pictures_of(frame, each.group_index, store.get_all(picture_keys(frame))))
            except (PictureGone, PictureUnreadableError, OSError, IntegrityError) as error:
                metrics.pipeline_errors.labels("evidence").inc()
                log.warning("evidence.not_kept", error=str(error))


def _tell_alerts(camera_id: int, changes: Sequence[alerts.AlertChange]) -> None:
    for change in changes:
        with tracing.span("alert", alert_id=change.alert_id, change=change.change, risk=change.level):
            publish.publish_alert(change.alert_id, change.change)
    if any(change.level == RiskLevel.HIGH for change in changes):
        frame_store().pause(camera_id, seconds=settings.ENVIRONMENT.alert_pause_seconds)
