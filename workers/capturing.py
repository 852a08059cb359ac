"""What the capture process tells the rest: a frame waits, a camera's state changed."""

from __future__ import annotations

from cameras.frames import FrameRef, Offer
from cameras.models import StreamState
from trafficmon.core import metrics, tracing
from trafficmon.live import publish
from workers.pipeline import WakeUp
from workers.queues import Queue
from workers.tasks import send_wake_up


def send_frame(ref: FrameRef, offer: Offer) -> None:
    """Wake a detection worker unless one is on its way already; count what was captured and given up."""
    metrics.frames_captured.labels(str(ref.camera_id)).inc()
    if offer.replaced:
        metrics.frames_dropped.labels("superseded").inc()
    if offer.wake:
        send_wake_up(WakeUp(Queue.DETECT, ref.camera_id, tracing.traceparent()))


def report_state(camera_id: int, state: StreamState, message: str) -> None:
    """Tell the operators."""
    if state == StreamState.STOPPED:
        publish.publish_stream_stopped(camera_id, message)
    else:
        publish.publish_camera_status(camera_id)
