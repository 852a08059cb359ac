"""How the whole fleet is, for people to look at: what waits where and since when, what was dropped, who is there."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import django
import redis
from django.conf import settings
from django.db import connection
from django.db.models import Max

from assessment.ladder import LadderState
from assessment.models import Assessment, FrameResult
from assessment.service_level import Workload, current_ladder, measure_workload
from cameras.frames import FrameStore
from cameras.load import current_stretch
from cameras.models import Camera
from cameras.ownership import capture_processes
from cameras.skipped import Skipped, skipped_in_words
from trafficmon.exports.deliver import backlogs
from trafficmon.notifications import outbox
from workers.health import WorkerSeen, processes_seen, workers_seen
from workers.queues import Queue, waiting_on
from workers.runtime import LEAST_FREE_BYTES


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """A queue: how many messages wait on it, and since how long the oldest work that it is to wake somebody for."""

    queue: Queue
    messages: int
    oldest_seconds: float
    workers: int


@dataclass(frozen=True, slots=True)
class FleetStanding:
    """What Redis and the database know of the fleet."""

    processes: dict[str, bool]
    captures: int
    workers: list[WorkerSeen]
    queues: list[QueueStanding]
    ladder: LadderState
    workload: Workload
    stretch: float
    skipped: Skipped | None


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a folder is on."""

    name: str
    folder: Path
    free_bytes: int
    total_bytes: int

    @property
    def is_low(self) -> bool:
        """Whether so little is left that nothing starts, and pictures are forgotten sooner."""
        return self.free_bytes < LEAST_FREE_BYTES


@dataclass(frozen=True, slots=True)
class Service:
    """Something that everything rests on: its version, and how long it took to answer."""

    name: str
    version: str
    milliseconds: float


def fleet_standing(client: redis.Redis, *, now: datetime) -> FleetStanding:
    """Everything that is seen of the fleet; raises RedisError."""
    workers = workers_seen(client)
    workload = measure_workload(now)
    cameras = Camera.objects.wanted_running().values_list("pk", flat=True)
    return FleetStanding(
        processes=processes_seen(client),
        captures=capture_processes(client),
        workers=workers,
        queues=[_queue(each, workers, client, now) for each in Queue],
        ladder=current_ladder(),
        workload=workload,
        stretch=current_stretch(client),
        skipped=skipped_in_words(*cameras),
    )


def _queue(queue: Queue, workers: list[WorkerSeen], client: redis.Redis, now: datetime) -> QueueStanding:
    serving = sum(queue in each.queues for each in workers)
    return QueueStanding(queue, waiting_on(queue), _oldest_seconds(queue, client, now), serving)


def _oldest_seconds(queue: Queue, client: redis.Redis, now: datetime) -> float:
    """How long the oldest work waits that nobody has begun; 0 where none does."""
    if queue is Queue.DETECT:
        return FrameStore(client).longest_wait_seconds()
    return _age(_OLDEST[queue](now), now)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _oldest_question(now: datetime, *, urgent: bool) -> datetime | None:
    waiting = Assessment.objects.claimable(now).filter(urgent=urgent, late=False).order_by("created_at")
    return waiting.values_list("created_at", flat=True).first()


def _oldest_unclosed(_now: datetime) -> datetime | None:
    answered = FrameResult.objects.answered().annotate(answered_at=Max("assessments__ended_at"))
    return answered.order_by("answered_at").values_list("answered_at", flat=True).first()


_OLDEST: dict[Queue, Callable[[datetime], datetime | None]] = {
    Queue.ASSESS: lambda now: _oldest_question(now, urgent=False),
    Queue.ASSESS_URGENT: lambda now: _oldest_question(now, urgent=True),
    Queue.RESULTS: _oldest_unclosed,
    Queue.EXPORTS: lambda _now: min((each.since for each in backlogs() if each.since), default=None),
    Queue.OUTBOUND: outbox.waiting_since,
}


def database_service() -> Service:
    """The database; raises DatabaseError where it does not answer."""
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        version = str(cursor.fetchone()[0])
    return Service(connection.display_name, version, 1000 * (time.perf_counter() - begun))


def redis_service(client: redis.Redis) -> Service:
    """Redis, or what speaks as it does; raises RedisError."""
    begun = time.perf_counter()
    told = client.info("server")
    milliseconds = 1000 * (time.perf_counter() - begun)
    name = "Valkey" if "valkey_version" in told else "Redis"
    return Service(name, str(told.get("valkey_version") or told.get("redis_version", "")), milliseconds)


def versions() -> list[tuple[str, str]]:
    """Of the software of this web process."""
    return [
        ("trafficmon", settings.VERSION),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        ("Linux" if platform.system() == "Linux" else platform.system(), platform.release()),
    ]


def disks() -> list[Disk]:
    """The disks of pictures and of what runs, as this web process sees them; those that are one are told once."""
    folders = {"media": Path(settings.MEDIA_ROOT), "run": Path(settings.RUN_DIR)}
    found: dict[int, Disk] = {}
    for name, folder in folders.items():
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        usage = shutil.disk_usage(there)
        found.setdefault(there.stat().st_dev, Disk(name, folder, usage.free, usage.total))
    return list(found.values())
