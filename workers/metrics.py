"""What Celery tells us of every task, as metrics and as fields of its log lines."""

from __future__ import annotations

import sys
import threading
from typing import Any

import cv2
import structlog
from celery.signals import (
    celeryd_after_setup,
    heartbeat_sent,
    task_failure,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_ready,
    worker_shutting_down,
)
from django.conf import settings
from django.db import close_old_connections

from assessment.key_file import UnusableKeyFile, import_if_changed
from assessment.keys import warm_up as warm_up_clients
from cameras.frames import connect_redis
from detection.detector import DetectorError, warm_up
from trafficmon.core import metrics, tracing
from workers.database import lend_connection, pool_connections
from workers.health import note_gone, note_seen
from workers.queues import Queue
from workers.stopping import STOPPING

log = structlog.get_logger()

_READY = threading.Event()
"""Once it is set, this worker takes messages: heartbeats begin while it still connects."""


@task_prerun.connect
def begin_task(task_id: str, task: Any, **_: Any) -> None:
    """Name the task in all log lines up to its end, count its message, and let go of aged or broken connections."""
    close_old_connections()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)
    tracing.come_from((task.request.headers or {}).get("traceparent", ""))
    routing = (task.request.delivery_info or {}).get("routing_key", "")
    metrics.queue_messages_received.labels(routing).inc()


@task_postrun.connect
def end_task(task: Any, state: str, **_: Any) -> None:
    """Count the task under the state it ended in, and give its connection back where threads share them."""
    lend_connection()
    metrics.tasks_processed.labels(task.name, str(state).lower()).inc()
    structlog.contextvars.clear_contextvars()


@task_revoked.connect
def count_expired(sender: Any, **_: Any) -> None:
    """A message that waited too long is dropped unread; its work is woken again where it still matters."""
    metrics.tasks_processed.labels(sender.name, "expired").inc()


@task_failure.connect
def count_failure(sender: Any, **_: Any) -> None:
    """Count an exception that got out of a task."""
    metrics.pipeline_errors.labels(sender.name).inc()


@celeryd_after_setup.connect
def prepare_assessment(instance: Any, **_: Any) -> None:
    """Workers that call the model have many threads, which share few connections and one client."""
    if {Queue.ASSESS, Queue.ASSESS_URGENT} & set(instance.app.amqp.queues.consume_from):
        pool_connections()
        cv2.setNumThreads(1)  # there are more threads than cores already
        try:
            import_if_changed(settings.ENVIRONMENT.api_keys_path)
        except UnusableKeyFile as error:
            sys.exit(f"The key file cannot be used.\n{error}")
        warm_up_clients()


@worker_ready.connect
def say_ready(sender: Any, **_: Any) -> None:
    """A worker takes messages from its queues from now on."""
    _READY.set()
    note_seen(connect_redis(), sender.app.amqp.queues.consume_from, node=sender.hostname)


@heartbeat_sent.connect
def say_seen(sender: Any, **_: Any) -> None:
    """A worker lives; the last time, while it stops, it does not any more."""
    if _READY.is_set():
        events, note = sender.eventer, note_gone if STOPPING.is_set() else note_seen
        note(connect_redis(), events.app.amqp.queues.consume_from, node=events.hostname)


@worker_shutting_down.connect
def finish_answering(**_: Any) -> None:
    """Begin no more questions."""
    STOPPING.set()


@celeryd_after_setup.connect
def prepare_detector(instance: Any, **_: Any) -> None:
    """Load the model before the first frame comes, in the workers that will need it."""
    if Queue.DETECT in instance.app.amqp.queues.consume_from:
        from workers.pipeline import frame_pipeline

        try:
            detector = frame_pipeline().detector
            warm_up(detector)
            log.info("detector.ready", model=detector.model)
        except DetectorError as error:
            sys.exit(f"The detector cannot be loaded: {error}")
