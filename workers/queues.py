"""The queues, and the only way to put a message on one."""

from __future__ import annotations

from enum import StrEnum

import structlog
from celery import Task
from kombu.exceptions import OperationalError

from trafficmon.core import metrics

log = structlog.get_logger()


class Queue(StrEnum):
    """Who consumes what."""

    DETECT = "detect"
    ASSESS = "assess"
    ASSESS_URGENT = "assess.urgent"
    RESULTS = "results"


def send(task: Task[..., None], queue: Queue, *, expires_seconds: float = 3600, **arguments: int) -> bool:
    """Put a wake-up on `queue`. A broker that is away loses nothing: the row is there and the sweeper sends again."""
    try:
        task.apply_async(kwargs=arguments, queue=queue, expires=expires_seconds, retry=False)
    except OperationalError as error:
        metrics.queue_send_errors.labels(queue).inc()
        log.warning("queue.unreachable", queue=queue, error=str(error))
        return False
    metrics.tasks_generated.labels(task.name).inc()
    metrics.queue_messages_sent.labels(queue).inc()
    return True
