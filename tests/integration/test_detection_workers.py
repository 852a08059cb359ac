"""Real detection workers on a real Redis and database: one is killed under load, one after another is restarted."""

from __future__ import annotations

import itertools
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import cast

import cv2
import pytest
import redis
from django.db import connections
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from assessment.models import FrameResult
from cameras.frames import FrameRef, FrameStore
from cameras.models import Camera
from cameras.street import Street
from detection.backends import SAMPLE_DIR
from tests.factories import make_camera
from tests.processes import Running, database_url, wait_until
from trafficmon.core.clock import utc_now
from trafficmon.core.ids import new_token
from workers.capturing import send_frame
from workers.queues import Queue
from workers.runtime import celery_worker
from workers.tasks import sweep

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

CAMERAS = 6
INTERVAL_SECONDS = 0.4
SWEEP_SECONDS = 0.5
SAMPLE = SAMPLE_DIR / "trafficmon-sample_openvino_model"


class Load:
    """Offers a frame of each camera again and again, as capture does, and sweeps, as beat has it done."""

    def __init__(self, store: FrameStore, cameras: list[Camera]) -> None:
        self.offered: dict[str, datetime] = {}
        self._store = store
        self._cameras = cameras
        street = Street("junction", seed=5)
        street.advance_to(10)
        self._jpeg = cv2.imencode(".jpg", street.render())[1].tobytes()
        self._over = threading.Event()
        self._sweeping_over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._offer, self._sweep)]
        for each in self._threads:
            each.start()

    def _offer(self) -> None:
        for camera in itertools.cycle(self._cameras):
            key = new_token()
            self._store.put(key, self._jpeg)
            self.offered[key] = utc_now()
            ref = FrameRef(camera.pk, key, self.offered[key], (key,), (self.offered[key],))
            offer = self._store.offer(ref)
            if offer.replaced:
                self._store.forget(offer.replaced)
            send_frame(ref, offer)
            if self._over.wait(INTERVAL_SECONDS / CAMERAS):
                return

    def _sweep(self) -> None:
        while not self._sweeping_over.wait(SWEEP_SECONDS):
            sweep()
        connections.close_all()

    def stop_offering(self) -> None:
        self._over.set()
        self._threads[0].join()

    def end(self) -> None:
        self.stop_offering()
        self._sweeping_over.set()
        self._threads[1].join()


class Fleet:
    """Detection workers with metrics of their own, and a configuration that may be changed between starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._metrics = folder / "metrics"
        self._metrics.mkdir()
        self._before = dropped_in(REGISTRY)
        self._numbers = itertools.count(1)
        self.workers: list[Running] = []
        self.configure("sample")

    def configure(self, model: str) -> None:
        (self._folder / "model.yaml").write_text(f"model: {{name: {model}}}\nllm: {{enabled: false}}\n")

    def start(self) -> Running:
        number = next(self._numbers)
        environment = {
            "DATABASE_URL": database_url(),
            "ALGO_MODEL_CONFIG_PATH": str(self._folder / "model.yaml"),
            "ALGO_WEIGHTS_DIR": str(self._folder),
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        command = celery_worker([Queue.DETECT], name=f"detection{number}", threads=2)
        running = Running(command, self._folder / f"worker{number}.log", environment)
        self.workers.append(running)
        return running

    def dropped(self) -> dict[str, float]:
        """How many frames were dropped by reason, in all processes."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._metrics))  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        theirs, ours = dropped_in(registry), dropped_in(REGISTRY)
        sums = {
            reason: theirs.get(reason, 0) + ours.get(reason, 0) - self._before.get(reason, 0)
            for reason in theirs | ours
        }
        return {reason: count for reason, count in sums.items() if count}


def dropped_in(registry: CollectorRegistry) -> dict[str, float]:
    samples = itertools.chain.from_iterable(metric.samples for metric in registry.collect())
    return {each.labels["reason"]: each.value for each in samples if each.name == "frames_dropped_total"}


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


@pytest.fixture
def fleet(tmp_path: Path, redis_client: redis.Redis) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    for each in made.workers:
        if each.process.poll() is None:
            each.kill()


@pytest.fixture
def start_load(store: FrameStore) -> Iterator[Callable[[], Load]]:
    with ExitStack() as at_end:

        def start() -> Load:
            load = Load(store, [make_camera() for _ in range(CAMERAS)])
            at_end.callback(load.end)
            return load

        yield start


def wait_until_all_are_accounted_for(load: Load, fleet: Fleet) -> None:
    load.stop_offering()
    wait_until(
        lambda: FrameResult.objects.count() + sum(fleet.dropped().values()) >= len(load.offered),
        120,
        failing=lambda: f"{len(load.offered)} {FrameResult.objects.count()} {fleet.dropped()}",
    )
    assert FrameResult.objects.count() + sum(fleet.dropped().values()) == len(load.offered)
    assert set(FrameResult.objects.values_list("frame_key", flat=True)) <= load.offered.keys()


def stop_with_frames_in_hand(worker: Running, store: FrameStore) -> list[int]:
    """Stop the worker in the middle of its work; the cameras whose frames it holds."""

    def in_hand() -> set[bytes]:
        return set(cast("list[bytes]", store.client.zrange("cameras:in_hand", 0, -1)))

    for _attempt in range(50):
        worker.signal(signal.SIGSTOP)
        held = in_hand()
        for _look in range(8):
            # What is still in hand when the other worker has had time for several frames is held by this one.
            time.sleep(0.1)
            held &= in_hand()
        if held:
            return [int(each) for each in held]
        worker.signal(signal.SIGCONT)
        time.sleep(0.1)
    pytest.fail("the worker never held a frame")


def test_killed_worker_costs_no_frame_and_its_cameras_go_on(
    fleet: Fleet, store: FrameStore, start_load: Callable[[], Load]
) -> None:
    doomed, survivor = fleet.start(), fleet.start()
    for each in (doomed, survivor):
        each.wait_for("detector.ready")
    load = start_load()
    wait_until(lambda: FrameResult.objects.count() > 10, 120, failing=survivor.said)
    held = stop_with_frames_in_hand(doomed, store)
    killed_at = utc_now()
    doomed.kill()
    for camera_id in held:
        later = FrameResult.objects.filter(camera_id=camera_id, captured_at__gt=killed_at)
        wait_until(later.exists, 60, failing=survivor.said)
    wait_until_all_are_accounted_for(load, fleet)
    assert fleet.dropped().keys() <= {"superseded", "stale", "worker_lost"}
    assert "Traceback" not in survivor.said()


def test_rolling_restart_changes_the_model_and_loses_no_frame(
    fleet: Fleet, tmp_path: Path, start_load: Callable[[], Load]
) -> None:
    shutil.copytree(SAMPLE, tmp_path / "roads_openvino_model")
    old = [fleet.start(), fleet.start()]
    for each in old:
        each.wait_for("detector.ready")
    load = start_load()
    wait_until(lambda: FrameResult.objects.count() > 10, 120)
    fleet.configure("roads_openvino_model")
    for each in old:
        each.end()
        fleet.start().wait_for("detector.ready")
    changed_at = utc_now()
    wait_until(lambda: FrameResult.objects.filter(captured_at__gt=changed_at).count() > 10, 120)
    wait_until_all_are_accounted_for(load, fleet)
    assert set(FrameResult.objects.filter(captured_at__lt=changed_at).values_list("model", flat=True)) == {
        "trafficmon-sample",
        "roads",
    }
    assert set(FrameResult.objects.filter(captured_at__gt=changed_at).values_list("model", flat=True)) == {"roads"}
    assert fleet.dropped().keys() <= {"superseded", "stale"}
