"""Which processes of the fleet were seen lately, by what each of them keeps in Redis for some seconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
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
    try:
        now, _microseconds = client.time()
        with client.pipeline(transaction=False) as sent:
            sent.zadd(_NODES, {_member(node, queues): now})
            sent.zremrangebyscore(_NODES, "-inf", now - SEEN_SECONDS)
            sent.execute()
    except redis.RedisError as error:
        log.warning("worker.not_noted", error=str(error))


def note_gone(client: redis.Redis, queues: Iterable[str], *, node: str) -> None:
    """The worker `node` of these queues takes no more messages. Where Redis is away, time says so."""
    with suppress(redis.RedisError):
        client.zrem(_NODES, _member(node, queues))


def _member(node: str, queues: Iterable[str]) -> str:
    return json.dumps([node, *sorted(queues)])


def processes_seen(client: redis.Redis) -> dict[str, bool]:
    """Whether somebody captures, serves each kind of queue, and sends what is due; raises RedisError."""
    is_served = queues_served(client)
    served = {name: all(is_served[queue] for queue in queues) for name, queues in _SERVED.items()}
    return {"capture": capture_processes(client) > 0, **served, "beat": bool(client.exists(WATCH_KEY))}


def queues_served(client: redis.Redis) -> dict[Queue, bool]:
    """Whether somebody takes messages from each queue; raises RedisError."""
    served = {queue for each in workers_seen(client) for queue in each.queues}
    return {queue: queue in served for queue in Queue}


def queues_missing(client: redis.Redis) -> list[Queue]:
    """The queues from which nobody takes messages: all of them while Redis is away."""
    try:
        return [queue for queue, is_served in queues_served(client).items() if not is_served]
    except redis.RedisError:
        return list(Queue)


def workers_seen(client: redis.Redis, *, after: float = 0.0) -> list[WorkerSeen]:
    """The workers of all hosts that were there within SEEN_SECONDS and `after` a moment of Redis's clock, by name;
    raises RedisError."""
    now, _microseconds = client.time()
    least = max(after, now - SEEN_SECONDS)
    kept = cast("list[tuple[bytes, float]]", client.zrangebyscore(_NODES, f"({least}", "+inf", withscores=True))
    found = ((json.loads(member), now - at) for member, at in kept)
    return sorted((WorkerSeen(node, tuple(queues), age) for (node, *queues), age in found), key=lambda each: each.node)
