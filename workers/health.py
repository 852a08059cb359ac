"""Which processes of the fleet were seen lately, by what each of them keeps in Redis for some seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import redis
import structlog

from cameras.ownership import capture_processes
from workers.queues import Queue

log = structlog.get_logger()

SEEN_SECONDS = 15
"""A worker says every two seconds that it is there."""
WATCH_KEY, WATCH_SECONDS = "sweep:since", 30
"""Since when sweeps follow one another without a gap of so many seconds."""
_NODES = "workers:seen"
_SERVED: Mapping[str, tuple[Queue, ...]] = {
    "detection": (Queue.DETECT,),
    "assessment": (Queue.ASSESS, Queue.ASSESS_URGENT),
    "results": (Queue.RESULTS,),
}


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker that said lately that it takes messages from its queues; `seconds` ago for the last time."""

    node: str
    queues: tuple[str, ...]
    seconds: float


def note_seen(client: redis.Redis, queues: Iterable[str], *, node: str) -> None:
    """The worker `node` of these queues is there. Where Redis is away it is not: it can take no message either."""
    queues = sorted(queues)
    try:
        now, _microseconds = client.time()
        with client.pipeline(transaction=False) as sent:
            for queue in queues:
                sent.set(_place(queue), 1, ex=SEEN_SECONDS)
            sent.zadd(_NODES, {json.dumps([node, *queues]): now})
            sent.zremrangebyscore(_NODES, "-inf", now - SEEN_SECONDS)
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


def workers_seen(client: redis.Redis) -> list[WorkerSeen]:
    """The workers of all hosts that were there within SEEN_SECONDS, by name; raises RedisError."""
    now, _microseconds = client.time()
    kept = cast("list[tuple[bytes, float]]", client.zrangebyscore(_NODES, now - SEEN_SECONDS, "+inf", withscores=True))
    found = ((json.loads(member), now - at) for member, at in kept)
    return sorted((WorkerSeen(node, tuple(queues), age) for (node, *queues), age in found), key=lambda each: each.node)


def _place(queue: str) -> str:
    return f"worker:{queue}:seen"
