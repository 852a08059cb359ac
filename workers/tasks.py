"""Celery's envelopes: decode, one call, send what comes next."""

from __future__ import annotations

from celery import shared_task

from cameras.frames import WAKE_SECONDS
from trafficmon.back_office.reports import report_due
from trafficmon.core.clock import utc_now
from trafficmon.exports.deliver import deliver as deliver_events
from trafficmon.notifications import outbox
from workers import answering, closing, pipeline
from workers.queues import Queue, send
from workers.retention import forget_old_frames as forget
from workers.upkeep import SINKS, sweep_unfinished


@shared_task(name="detect_frame", send_events=False)  # many a second: three events each would cost as much as tracking
def detect_frame(*, camera_id: int) -> None:
    """Detect the newest waiting frame of a camera."""
    for wake_up in pipeline.detect_newest(camera_id):
        send_wake_up(wake_up)


@shared_task(name="assess_group", send_events=False)
def assess_group(*, assessment_id: int) -> None:  # noqa: ARG001  # names who woke it; the claim decides which row
    """Answer the most pressing questions, until none is left or it is time for another message."""
    for closable in answering.answer_waiting(pipeline.frame_store()):
        if not closing.is_somebody_closing():
            send(close_frame, Queue.RESULTS, frame_result_id=closable)


@shared_task(name="close_frame", send_events=False)
def close_frame(*, frame_result_id: int) -> None:  # noqa: ARG001  # names who woke it; all that can be is closed
    """Join the answers of every frame that has them all, and of those that follow."""
    closing.close_answered()


@shared_task(name="sweep")
def sweep() -> None:
    """Send again what stayed pending, give up what is overdue, and close what time closes."""
    for wake_up in sweep_unfinished():
        send_wake_up(wake_up)


@shared_task(name="forget_old_frames")
def forget_old_frames() -> None:
    forget()


@shared_task(name="send_outbound")
def send_outbound() -> None:
    """Gather what is to be told, and send what waits: notifications before statistics."""
    outbox.gather(now=utc_now())
    outbox.deliver(now=utc_now())
    report_due(now=utc_now())


@shared_task(name="export_events")
def export_events(*, sink: int) -> None:
    """Deliver what waits for one sink."""
    deliver_events(SINKS[sink])


def send_wake_up(wake_up: pipeline.WakeUp) -> bool:
    """Put what comes next on its queue."""
    cause = wake_up.traceparent
    match wake_up.queue:
        case Queue.DETECT:
            return send(
                detect_frame, Queue.DETECT, expires_seconds=WAKE_SECONDS, traceparent=cause, camera_id=wake_up.subject
            )
        case Queue.ASSESS | Queue.ASSESS_URGENT:
            return send(
                assess_group, wake_up.queue, expires_seconds=60, traceparent=cause, assessment_id=wake_up.subject
            )
        case Queue.RESULTS:
            return send(close_frame, Queue.RESULTS, traceparent=cause, frame_result_id=wake_up.subject)
        case Queue.OUTBOUND:
            return send(send_outbound, Queue.OUTBOUND, expires_seconds=60)
        case Queue.EXPORTS:
            return send(export_events, Queue.EXPORTS, expires_seconds=60, sink=wake_up.subject)
