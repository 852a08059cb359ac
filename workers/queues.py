"""The queues, and the only way to put a message on one."""

from __future__ import annotations

from enum import StrEnum

import structlog
from celery import Task

from trafficmon.core import metrics
from workers.broker import send_errors, waiting_messages

log = structlog.get_logger()


class Queue(StrEnum):
    """Who consumes what."""

    DETECT = "detect"
    ASSESS = "assess"
    ASSESS_URGENT = "assess.urgent"
    RESULTS = "results"
    OUTBOUND = "outbound"
    """What is told of alerts and statistics to other systems, which may answer slowly or not at all."""
    EXPORTS = "exports"
    """Events to brokers, a message for each of them."""


MOST_WAITING = {Queue.ASSESS: 300, Queue.ASSESS_URGENT: 300, Queue.RESULTS: 1, Queue.OUTBOUND: 1, Queue.EXPORTS: 3}
"""Messages on a queue that are enough to wake everybody: who is awake goes on while there is something to do. For
detection each camera has one of its own."""


def waiting_on(queue: Queue) -> int:
    """How many messages wait on `queue`; raises BrokerUnreachable."""
    return waiting_messages(queue)


def send(
    task: Task[..., None], queue: Queue, *, expires_seconds: float = 3600, traceparent: str = "", **arguments: int
) -> bool:
    """Put a wake-up on `queue`; False when it could not be sent, or enough wait there already.

    Either loses nothing: the row is there, and the sweeper sends again where nobody takes it. `traceparent` is the step
    that it comes of, which its task finds in the message's headers.
    """
    headers = {"traceparent": traceparent} if traceparent else {}
    try:
        if queue in MOST_WAITING and waiting_on(queue) >= MOST_WAITING[queue]:
            return False
        task.apply_async(kwargs=arguments, queue=queue, expires=expires_seconds, retry=False, headers=headers)
    except send_errors() as error:
        metrics.queue_send_errors.labels(queue).inc()
        log.warning("queue.unreachable", queue=queue, error=type(error).__name__)
        return False
    metrics.tasks_generated.labels(task.name).inc()
    metrics.queue_messages_sent.labels(queue).inc()
    return True
