"""A frame's way through the workers: what each task does with its one call."""

from __future__ import annotations

import functools
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from structlog.contextvars import bind_contextvars

from assessment import results
from assessment.gate import Gated
from assessment.models import Assessment, FrameResult
from assessment.risk import AssessmentStatus, JudgedBy
from cameras.frames import FrameRef, FrameStore, connect_redis
from cameras.load import note_skipped, note_taken
from cameras.models import Camera
from detection.backends import load_detector
from detection.detect import (
    FramePipeline,
    PictureUnreadableError,
    Shot,
    choose_evenly,
    detect_frame,
    read_shot,
)
from detection.detections import DetectedFrame
from detection.tracks import TrackerState, TracksUnreadableError, tracks_from_bytes
from trafficmon.core import metrics, tracing
from trafficmon.core.clock import utc_now
from trafficmon.exports import outbox as exports
from trafficmon.live import publish
from workers.gating import gate_frame
from workers.queues import Queue
from workers.rules import FRESH, fresh_for, known_camera

log = structlog.get_logger()

KEEP_MARGIN_SECONDS = 15.0
"""A picture outlives the deadline of the question about it by this much."""


@dataclass(frozen=True, slots=True)
class WakeUp:
    """What comes next: `subject` is the id of a camera, an assessment, a frame result or a sink, as the queue wants."""

    queue: Queue
    subject: int
    traceparent: str = field(default="", compare=False)
    """The step that it comes of, where that is traced."""


@functools.cache
def frame_store() -> FrameStore:
    """The store that all threads of this process share."""
    keep_seconds = settings.ENVIRONMENT.assessment_deadline_seconds + KEEP_MARGIN_SECONDS
    return FrameStore(connect_redis(), keep_seconds=keep_seconds)


@functools.cache
def frame_pipeline() -> FramePipeline:
    """This process's model, loaded once, and how its findings are worked on."""
    return FramePipeline(load_detector(settings.MODEL_FILE, weights_dir=settings.WEIGHTS_DIR), settings.MODEL_FILE)


def detect_newest(camera_id: int) -> list[WakeUp]:
    """Detect the camera's newest waiting frame, store and show it; what to wake next."""
    store = frame_store()
    ref = store.take(camera_id)
    if ref is None:
        return []
    with ExitStack() as on_failure:
        # The next frame must not wait for the wake-up that this failure keeps from being sent.
        on_failure.callback(store.finish, ref, waking=False)
        wake_ups = _detect_traced(ref)
        on_failure.pop_all()
    return [*wake_ups, WakeUp(Queue.DETECT, camera_id)] if store.finish(ref) else wake_ups


def _detect_traced(ref: FrameRef) -> list[WakeUp]:
    bind_contextvars(camera_id=ref.camera_id, frame_key=ref.frame_key)
    if not tracing.is_on():
        return _detect(ref)
    began = ref.traced_at or None
    with tracing.span("detect", parent=ref.traceparent, since=began, camera_id=ref.camera_id, frame_key=ref.frame_key):
        tracing.past("detect.wait", since=began or tracing.now())
        return [replace(each, traceparent=tracing.traceparent()) for each in _detect(ref)]


def _detect(ref: FrameRef) -> list[WakeUp]:
    with ExitStack() as on_failure:
        on_failure.callback(_give_up, ref, "failed")
        row = _detect_and_record(ref)
        on_failure.pop_all()
    if row is None:
        return []
    with tracing.span("publish", about="frame"):
        publish.publish_frame(row)
    if row.status == AssessmentStatus.SKIPPED:
        frame_store().forget_all(ref.picture_keys - {ref.frame_key})
        return []
    return _wake_ups_after(row, ref)


def _wake_ups_after(row: FrameResult, ref: FrameRef) -> list[WakeUp]:
    """Whom to wake for the stored frame's questions; where every group has its verdict already, who closes it."""
    rows = Assessment.objects.filter(frame_result=row).values_list("pk", "urgent", "judged_by")
    if all(judged_by == JudgedBy.REUSE for _pk, _urgent, judged_by in rows):
        frame_store().forget_all(ref.picture_keys - {ref.frame_key})
    asked = [(pk, urgent) for pk, urgent, judged_by in rows if judged_by == JudgedBy.MODEL]
    wake_ups = [WakeUp(Queue.ASSESS_URGENT if urgent else Queue.ASSESS, pk) for pk, urgent in asked]
    return wake_ups or [WakeUp(Queue.RESULTS, row.pk)]


def _detect_and_record(ref: FrameRef) -> FrameResult | None:
    """The stored frame; None when it was given up, or is another worker's to store."""
    with tracing.span("detect.decode"):
        shots = _shots_of(ref) if _is_fresh(ref) else []
    if not shots:
        return None
    known = known_camera(ref.camera_id)
    before = _tracks_of(ref.camera_id)
    frame, tracks = detect_frame(shots, ref, pipeline=frame_pipeline(), rules=known.rules, tracks=before)
    frame_store().note_duration(frame.process_seconds)
    if not frame_store().hold(ref):
        # It took so long that the sweeper gave the frame away, and has counted it.
        log.warning("frame.given_away", camera_id=ref.camera_id, process_seconds=round(frame.process_seconds, 1))
        return None
    frame_store().save_tracks(ref.camera_id, tracks.to_bytes())
    with tracing.span("gate"):
        gated = gate_frame(known.camera, frame)
    row = _record(frame, gated)
    if row:
        _count(frame, known.camera)
    return row


def _tracks_of(camera_id: int) -> TrackerState | None:
    kept = frame_store().load_tracks(camera_id)
    try:
        return tracks_from_bytes(kept) if kept else None
    except TracksUnreadableError:
        # Written by another version: identities begin anew.
        log.warning("tracks.unreadable", camera_id=camera_id)
        return None


def _is_fresh(ref: FrameRef) -> bool:
    """Whether the frame is young enough to be detected, counted as taken or as given up."""
    age = utc_now() - ref.captured_at
    if age > fresh_for(ref.camera_id):
        _give_up(ref, "stale")
        return False
    metrics.stage_seconds.labels("wait").observe(age.total_seconds())
    with suppress(redis.RedisError):  # that it is not counted must not lose the frame
        note_taken(frame_store().client, ref.camera_id)
    if age > FRESH:
        frame_store().keep_longer(ref)  # its questions have all their time from now on
    return True


def _shots_of(ref: FrameRef) -> list[Shot]:
    """The pictures to detect, oldest first and the frame's own last; none where that is not to be detected."""
    shot = _shot_of(ref)
    if shot is None:
        return []
    most = settings.MODEL_FILE.tracking.burst_detections if ref.moments else 1
    earlier = choose_evenly(len(ref.burst), most=most)[:-1]
    shots = [_earlier_shot(ref.burst[place], ref.moments[place]) for place in earlier]
    return [*filter(None, shots), shot]


def _earlier_shot(key: str, captured_at: datetime) -> Shot | None:
    """A picture that only helps to follow what the frame shows: without it the frame is as good as any."""
    try:
        return _read(frame_store().get(key) or b"", captured_at)
    except PictureUnreadableError:
        return None


def _read(jpeg: bytes, captured_at: datetime) -> Shot:
    return read_shot(jpeg, captured_at, least_width=settings.MODEL_FILE.model.image_size)


def _shot_of(ref: FrameRef) -> Shot | None:
    """The frame's picture; None, counted with its reason, when it is not possible to detect."""
    jpeg = frame_store().get(ref.frame_key)
    if jpeg is None:
        _give_up(ref, "lost")
        return None
    try:
        return _read(jpeg, ref.captured_at)
    except PictureUnreadableError:
        _give_up(ref, "unreadable")
        return None


def _give_up(ref: FrameRef, reason: str) -> None:
    """Drop the frame in hand; one that was given away meanwhile is counted by others."""
    if frame_store().hold(ref):
        count_drop(ref, reason)


def count_drop(ref: FrameRef, reason: str) -> None:
    """Count a frame that will not be detected, and free its pictures."""
    metrics.frames_dropped.labels(reason).inc()
    note_skipped(frame_store().client, ref.camera_id, reason)
    frame_store().forget(ref)


def _record(frame: DetectedFrame, gated: Gated) -> FrameResult | None:
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    now = utc_now()
    noted = functools.partial(exports.note_detected, now=now)
    with metrics.stage_seconds.labels("store").time(), tracing.span("store") as span:
        row = results.record_frame(frame, gated, now=now, patience=patience, along=noted)
        span.note(outcome=row.status if row else "stored before", questions=len(gated.questions))
    return row


def _count(frame: DetectedFrame, camera: Camera) -> None:
    # Every end-to-end check makes cameras anew: numbers of their own would add up to ever more labels.
    metrics.detections.labels("check" if camera.is_of_check else str(camera.pk)).inc()
    metrics.detection_latency.observe((utc_now() - frame.captured_at).total_seconds())
    metrics.stage_seconds.labels("detect").observe(frame.process_seconds)
    metrics.traffic_groups.inc(len(frame.groups))
    for each in frame.detections:
        metrics.detected_objects.labels(each.object_class).inc()
    for crossing in frame.crossings:
        line = (str(frame.camera_id), crossing.line, crossing.object_class, crossing.direction)
        metrics.line_crossings.labels(*line).inc()
