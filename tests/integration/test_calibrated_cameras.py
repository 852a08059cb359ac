"""A calibrated camera from the admin's form to the speeds of what it shows: real Redis, real database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import cv2
import numpy as np
import pytest
import redis
from django.test import Client
from pytest_django import Settings

from assessment.models import FrameResult
from assessment.results import detected_frame
from cameras.drawings import read_drawing
from cameras.frames import FrameRef, FrameStore
from cameras.models import Camera
from detection.detect import FramePipeline
from detection.detections import Detection
from detection.detector import Picture
from tests.factories import detect, make_camera
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from workers import pipeline

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
MARKS = {"picture": [[0, 1], [1, 1], [1, 0], [0, 0]], "road": [[0, 0], [192, 0], [192, 108], [0, 108]]}
"""Seen from high above: 20 px are 3 metres."""


class DrivingDetector:
    """Finds a car that has gone 3 metres further in each picture, and one that comes towards it."""

    model = "driving"

    def __init__(self) -> None:
        self._moments = count()

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        moment = next(self._moments)
        return detect(300 + 20 * moment, 400), detect(480 - 20 * moment, 400)

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        return tuple(map(self.detect, pictures))


def see_burst(camera: Camera, client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FrameResult:
    tracking = settings.MODEL_FILE.tracking.model_copy(update={"burst_detections": 3})
    model = settings.MODEL_FILE.model.model_copy(update={"image_size": 1280})  # the double knows full size only
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"tracking": tracking, "model": model})
    made = FramePipeline(DrivingDetector(), settings.MODEL_FILE)
    monkeypatch.setattr(pipeline, "frame_pipeline", lambda: made)
    store, keys, now = FrameStore(client), ("early", "middle", "late"), utc_now()
    for key in keys:
        store.put(key, cv2.imencode(".jpg", np.full((720, 1280, 3), 90, np.uint8))[1].tobytes())
    moments = tuple(now - timedelta(seconds=0.25 * before) for before in (2, 1, 0))
    store.offer(FrameRef(camera.pk, "late", now, keys, moments))
    pipeline.detect_newest(camera.pk)
    return FrameResult.objects.get()


def test_road_users_of_a_calibrated_camera_have_a_speed(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = make_camera(calibration=MARKS)
    frame = detected_frame(see_burst(camera, redis_client, settings, monkeypatch))
    assert [each.speed_kmh for each in frame.detections] == [pytest.approx(12 * 3.6, abs=2)] * 2
    [group] = frame.groups
    assert group.closing_speed_kmh == pytest.approx(24 * 3.6, abs=4)
    latest = json.loads(redis_client.get(f"camera:{camera.pk}:latest") or b"{}")
    assert latest["detectedObjects"][0]["speedKmh"] == frame.detections[0].speed_kmh
    assert latest["trafficGroups"][0]["closingSpeedKmh"] == group.closing_speed_kmh


def test_road_users_of_other_cameras_have_none(
    redis_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = detected_frame(see_burst(make_camera(), redis_client, settings, monkeypatch))
    assert [each.speed_kmh for each in frame.detections] == [None, None]
    assert [each.closing_speed_kmh for each in frame.groups] == [None]


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create(username="chief", is_staff=True, is_superuser=True))
    return client


def form(camera: Camera, calibration: object) -> dict[str, object]:
    rows = {f"{name}-{total}_FORMS": "0" for name in ("zones", "lines") for total in ("TOTAL", "INITIAL")}
    fields = {"name": camera.name, "source": camera.source, "sampling": "burst", "wanted": "stopped"}
    return {**rows, **fields, "calibration": json.dumps(calibration), "drawing_version": read_drawing(camera).version}


def test_camera_is_calibrated_in_the_admin(desk: Client) -> None:
    camera = make_camera()
    url = f"/admin/cameras/camera/{camera.pk}/change/"
    assert desk.post(url, form(camera, MARKS)).status_code == 302
    camera.refresh_from_db()
    assert camera.calibration == MARKS
    assert desk.post(url, form(camera, None)).status_code == 302
    camera.refresh_from_db()
    assert camera.calibration is None


def test_calibration_that_cannot_be_is_refused_with_what_to_do(desk: Client) -> None:
    camera = make_camera()
    in_a_line = {**MARKS, "road": [[0, 0], [5, 0], [10, 0], [0, 36]]}
    answer = desk.post(f"/admin/cameras/camera/{camera.pk}/change/", form(camera, in_a_line))
    assert answer.status_code == 200
    assert dict(answer.context["adminform"].form.errors) == {
        "calibration": [
            "On the road three of the places are nearly in one line, or too close together. Choose them far apart."
        ]
    }
