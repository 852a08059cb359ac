"""What becomes of a frame whose worker dies, fails or is late: detected or counted, once, and its camera goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import cast

import cv2
import numpy as np
import pytest
import redis
from django.conf import settings
from prometheus_client import REGISTRY

from assessment.models import FrameResult
from cameras.frames import HELD_SECONDS, FrameRef, FrameStore
from cameras.models import Camera
from detection.detect import FramePipeline
from detection.detections import Detection
from detection.detector import Picture
from tests.factories import make_camera
from tests.fakes import OneByOne
from trafficmon.core.clock import utc_now
from trafficmon.live import publish
from workers import pipeline, upkeep
from workers.pipeline import WakeUp
from workers.queues import Queue

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class WorkerDiedError(BaseException):
    """Nothing after it is carried out, as after kill -9."""


class Meanwhile(OneByOne):
    """A detector during whose work something else happens."""

    model = "meanwhile"

    def __init__(self) -> None:
        self.happens: list[Callable[[], object]] = []

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        for each in self.happens:
            each()
        return ()


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


@pytest.fixture
def camera() -> Camera:
    return make_camera()


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    made = Meanwhile()
    monkeypatch.setattr(pipeline, "frame_pipeline", lambda: FramePipeline(made, settings.MODEL_FILE))
    return made


def offer(store: FrameStore, camera: Camera, key: str, *, age_seconds: float = 0) -> None:
    store.put(key, cv2.imencode(".jpg", np.full((72, 128, 3), 90, np.uint8))[1].tobytes())
    store.offer(FrameRef(camera.pk, key, utc_now() - timedelta(seconds=age_seconds)))


def let_die(store: FrameStore, camera: Camera) -> None:
    """A worker takes the camera's frame and is never heard of again."""
    store.take(camera.pk)
    grow_overdue(store)


def grow_overdue(store: FrameStore, *, seconds: int = HELD_SECONDS) -> None:
    for held in cast("list[bytes]", store.client.zrange("cameras:in_hand", 0, -1)):
        store.client.zincrby("cameras:in_hand", -seconds * 1000, held)


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("frames_dropped_total", {"reason": reason}) or 0


def detected(camera: Camera) -> float:
    return REGISTRY.get_sample_value("detection_total", {"camera_id": str(camera.pk)}) or 0


def test_fresh_frame_of_a_dead_worker_is_detected_by_another(
    store: FrameStore, camera: Camera, detector: Meanwhile
) -> None:
    before = dropped("worker_lost")
    offer(store, camera, "frame-a")
    let_die(store, camera)
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.DETECT, camera.pk)]
    pipeline.detect_newest(camera.pk)
    assert FrameResult.objects.get().frame_key == "frame-a"
    assert upkeep.sweep_unfinished() == []
    assert dropped("worker_lost") == before


def test_frame_of_a_dead_worker_is_counted_where_a_newer_one_waits(
    store: FrameStore, camera: Camera, detector: Meanwhile
) -> None:
    before = dropped("worker_lost")
    offer(store, camera, "frame-a", age_seconds=2)
    let_die(store, camera)
    offer(store, camera, "frame-b")
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.DETECT, camera.pk)]
    assert (dropped("worker_lost"), store.get("frame-a")) == (before + 1, None)
    pipeline.detect_newest(camera.pk)
    assert FrameResult.objects.get().frame_key == "frame-b"


def test_stale_frame_of_a_dead_worker_is_counted(store: FrameStore, camera: Camera) -> None:
    before = dropped("worker_lost")
    offer(store, camera, "frame-a", age_seconds=11)
    let_die(store, camera)
    assert upkeep.sweep_unfinished() == []
    assert dropped("worker_lost") == before + 1


@pytest.mark.parametrize("goes_on", [True, False])
def test_frame_of_a_dead_worker_is_counted_though_nothing_swept_for_long(
    store: FrameStore, camera: Camera, goes_on: bool
) -> None:
    before = dropped("worker_lost")
    offer(store, camera, "frame-a", age_seconds=60)
    store.take(camera.pk)
    grow_overdue(store, seconds=600)
    if goes_on:
        offer(store, camera, "frame-b")
    upkeep.sweep_unfinished()
    upkeep.sweep_unfinished()
    assert dropped("worker_lost") == before + 1


@pytest.mark.parametrize("goes_on", [True, False])
def test_stored_frame_is_not_counted_though_nothing_swept_for_long(
    store: FrameStore, camera: Camera, detector: Meanwhile, monkeypatch: pytest.MonkeyPatch, goes_on: bool
) -> None:
    before = dropped("worker_lost")
    offer(store, camera, "frame-a")
    monkeypatch.setattr(FrameStore, "finish", lambda *_, **__: False)
    pipeline.detect_newest(camera.pk)
    monkeypatch.undo()
    grow_overdue(store, seconds=600)
    if goes_on:
        offer(store, camera, "frame-b")
    upkeep.sweep_unfinished()
    assert (FrameResult.objects.count(), dropped("worker_lost"), store.overdue()) == (1, before, [])


def test_frame_that_was_stored_before_its_worker_died_is_finished(
    store: FrameStore, camera: Camera, detector: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_frame_result_id: int) -> None:
        raise WorkerDiedError

    before = dropped("worker_lost")
    offer(store, camera, "frame-a")
    monkeypatch.setattr(publish, "publish_frame", die)
    monkeypatch.setattr(FrameStore, "finish", lambda *_, **__: False)
    with pytest.raises(WorkerDiedError):
        pipeline.detect_newest(camera.pk)
    monkeypatch.undo()
    grow_overdue(store)
    offer(store, camera, "frame-b")
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.DETECT, camera.pk)]
    assert (dropped("worker_lost"), store.get("frame-a") is None) == (before, False)
    assert store.take(camera.pk) is not None


def test_late_worker_stores_nothing_that_was_counted_already(
    store: FrameStore, camera: Camera, detector: Meanwhile
) -> None:
    before, detected_before = dropped("worker_lost"), detected(camera)
    offer(store, camera, "frame-a")

    def be_swept() -> None:
        detector.happens.clear()
        grow_overdue(store)
        offer(store, camera, "frame-b")
        assert upkeep.sweep_unfinished() == [WakeUp(Queue.DETECT, camera.pk)]

    detector.happens.append(be_swept)
    assert pipeline.detect_newest(camera.pk) == []
    assert (FrameResult.objects.count(), dropped("worker_lost")) == (0, before + 1)
    pipeline.detect_newest(camera.pk)
    assert (FrameResult.objects.get().frame_key, detected(camera)) == ("frame-b", detected_before + 1)


def test_frame_whose_detection_fails_is_counted_and_the_camera_goes_on(
    store: FrameStore, camera: Camera, detector: Meanwhile
) -> None:
    before = dropped("failed")
    offer(store, camera, "frame-a")
    detector.happens.append(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.detect_newest(camera.pk)
    assert dropped("failed") == before + 1
    assert store.offer(FrameRef(camera.pk, "frame-b", utc_now())).wake is True


def test_wake_up_that_a_failure_kept_from_being_sent_is_sent_by_the_sweeper(
    store: FrameStore, camera: Camera, detector: Meanwhile
) -> None:
    offer(store, camera, "frame-a")
    detector.happens.append(lambda: offer(store, camera, "frame-b"))
    detector.happens.append(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.detect_newest(camera.pk)
    assert upkeep.sweep_unfinished() == [WakeUp(Queue.DETECT, camera.pk)]
