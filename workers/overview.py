"""How the whole fleet is, for people to look at: what waits where and since when, what was dropped, who is there."""

from __future__ import annotations

import platform
import shutil
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import django
import redis
from django.conf import settings
from django.db import connection

from assessment.disk_guard import wanted_bytes
from assessment.ladder import LadderState
from assessment.service_level import Workload, current_ladder, measure_workload
from cameras.load import current_stretch
from cameras.models import Camera
from cameras.ownership import capture_processes
from cameras.skipped import Skipped, skipped_in_words
from workers.broker import BrokerUnreachable
from workers.health import WorkerSeen, processes_seen, workers_seen
from workers.queues import Queue, waiting_on
from workers.runtime import LEAST_FREE_BYTES
from workers.waiting import longest_wait_seconds


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """A queue: how many messages wait on it, where its broker answers, and for how long the oldest work that it is to
    wake somebody for."""

    queue: Queue
    messages: int | None
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
    """The disk that a folder is on, and what is to be free on it."""

    name: str
    folder: Path
    free_bytes: int
    total_bytes: int
    wanted_bytes: int

    @property
    def is_low(self) -> bool:
        """Whether so little is left that evidence is given up, or nothing starts."""
        return self.free_bytes < self.wanted_bytes


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
        queues=[_queue(each, workers, now) for each in Queue],
        ladder=current_ladder(),
        workload=workload,
        stretch=current_stretch(client),
        skipped=skipped_in_words(*cameras),
    )


def _queue(queue: Queue, workers: list[WorkerSeen], now: datetime) -> QueueStanding:
    serving = sum(queue in each.queues for each in workers)
    return QueueStanding(queue, _messages(queue), longest_wait_seconds(queue, now), serving)


def _messages(queue: Queue) -> int | None:
    try:
        return waiting_on(queue)
    except BrokerUnreachable:
        return None


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
    folders = {
        "media": (Path(settings.MEDIA_ROOT), max(wanted_bytes(), LEAST_FREE_BYTES)),
        "run": (Path(settings.RUN_DIR), LEAST_FREE_BYTES),
    }
    found: dict[int, Disk] = {}
    for name, (folder, wanted) in folders.items():
        there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
        usage = shutil.disk_usage(there)
        found.setdefault(there.stat().st_dev, Disk(name, folder, usage.free, usage.total, wanted))
    return list(found.values())
