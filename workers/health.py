"""Which processes of the fleet were seen lately, by what each of them keeps in Redis for some seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import redis
import structlog

from cameras.ownership import capture_processes
from workers.queues import Queue

log = structlog.get_logger()

SEEN_SECONDS = 15
"""A worker says every two seconds that it is there."""
WATCH_KEY, WATCH_SECONDS = "sweep:since", 30
"""Since when sweeps follow one another without a gap of so many seconds."""
_SERVED: Mapping[str, tuple[Queue, ...]] = {
    "detection": (Queue.DETECT,),
    "assessment": (Queue.ASSESS, Queue.ASSESS_URGENT),
    "results": (Queue.RESULTS,),
}


def note_seen(client: redis.Redis, queues: Iterable[str]) -> None:
    """A worker of these queues is there. Where Redis is away it is not: it can take no message either."""
    try:
        with client.pipeline(transaction=False) as sent:
            for queue in queues:
                sent.set(_place(queue), 1, ex=SEEN_SECONDS)
            sent.execute()
    except redis.RedisError as error:
        log.warning("worker.not_noted", error=str(error))


def processes_seen(client: redis.Redis) -> dict[str, bool]:
    """Whether somebody captures, serves each kind of queue, and sends what is due; raises RedisError."""
    places = {name: [_place(queue) for queue in queues] for name, queues in _SERVED.items()}
    served = {name: client.exists(*keys) == len(keys) for name, keys in places.items()}
    return {"capture": capture_processes(client) > 0, **served, "beat": bool(client.exists(WATCH_KEY))}


def queues_served(client: redis.Redis) -> dict[Queue, bool]:
    """Whether somebody takes messages from each queue; raises RedisError."""
    return {queue: bool(client.exists(_place(queue))) for queue in Queue}


def _place(queue: str) -> str:
    return f"worker:{queue}:seen"
