"""Counting lines from the admin's form to the hourly counts: real Redis, real database."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio
import redis
from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.test import AsyncClient, Client
from pytest_django import DjangoAssertNumQueries, Settings

from assessment.counts import add_crossings, forget_counts
from assessment.gate import Gated
from assessment.models import FrameResult, LineCount
from assessment.results import record_frame
from cameras.frames import FrameRef, FrameStore
from cameras.models import Camera, CountingLine
from detection.configuration import TrackingConfiguration
from detection.detect import FramePipeline
from detection.detections import Crossing, Direction
from tests.factories import NOON, PATIENCE, detect, make_camera, make_frame
from tests.fakes import FakeDetector
from trafficmon.accounts.models import User
from trafficmon.core.clock import utc_now
from trafficmon.core.objects import ObjectClass
from workers import pipeline, retention

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
LIST = "/admin/assessment/linecount/"
CAR, BUS, FORWARD, BACKWARD = ObjectClass.CAR, ObjectClass.BUS, Direction.FORWARD, Direction.BACKWARD
UPWARDS = [[0.5, 1.0], [0.5, 0.0]]


def make_line(camera: Camera | None = None, name: str = "gate", **fields: object) -> CountingLine:
    return CountingLine.objects.create(camera=camera or make_camera(), name=name, **{"ends": UPWARDS, **fields})


def crossing(line: CountingLine, object_class: ObjectClass = CAR, direction: Direction = FORWARD) -> Crossing:
    return Crossing(line.pk, line.name, object_class, direction)


def counts() -> list[tuple[object, ...]]:
    return list(LineCount.objects.order_by("pk").values_list("hour", "object_class", "direction", "count"))


def test_crossing_of_a_line_that_was_just_deleted_counts_for_nothing() -> None:
    line, gone = make_line(), make_line(name="gone")
    crossings = [crossing(gone), crossing(line)]
    gone.delete()
    add_crossings(crossings, at=NOON)
    assert counts() == [(NOON, "car", "forward", 1)]


def test_crossings_add_up_by_hour_class_and_direction() -> None:
    line = make_line()
    add_crossings([crossing(line), crossing(line), crossing(line, BUS)], at=NOON + timedelta(minutes=59))
    add_crossings([crossing(line), crossing(line, CAR, BACKWARD)], at=NOON + timedelta(minutes=1))
    add_crossings([crossing(line)], at=NOON + timedelta(hours=1))
    assert sorted(counts(), key=str) == sorted(
        [
            (NOON, "bus", "forward", 1),
            (NOON, "car", "forward", 3),
            (NOON, "car", "backward", 1),
            (NOON + timedelta(hours=1), "car", "forward", 1),
        ],
        key=str,
    )


@pytest.mark.django_db(transaction=True)
def test_frames_stored_at_once_lose_no_count() -> None:
    line = make_line()

    def count(number: int) -> None:
        frame = replace(make_frame(line.camera_id), frame_key=f"at-once-{number}", crossings=(crossing(line),))
        record_frame(frame, Gated(()), now=NOON, patience=PATIENCE)
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(20)))
    assert counts() == [(NOON, "car", "forward", 20)]


def test_frame_stored_twice_is_counted_once() -> None:
    line = make_line()
    frame = replace(make_frame(line.camera_id), crossings=(crossing(line),))
    rows = [record_frame(frame, Gated(()), now=NOON, patience=PATIENCE) for _delivery in range(2)]
    assert [row is None for row in rows] == [False, True]
    assert counts() == [(NOON, "car", "forward", 1)]


def test_frame_that_could_not_be_stored_counts_nothing() -> None:
    line = make_line()
    frame = replace(make_frame(line.camera_id), crossings=(crossing(line),), width=-1)
    with pytest.raises(IntegrityError), transaction.atomic():
        record_frame(frame, Gated(()), now=NOON, patience=PATIENCE)
    assert (counts(), FrameResult.objects.count()) == ([], 0)


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


def test_car_that_drives_through_a_line_is_counted_once_however_often_its_frames_are_delivered(
    store: FrameStore, settings: Settings, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    line = make_line(make_camera(assessment_enabled=False))
    start = utc_now() - timedelta(seconds=4)
    jpeg = cv2.imencode(".jpg", np.full((720, 1280, 3), 90, np.uint8))[1].tobytes()
    # As wide as the pictures, so that what the detector says is in their pixels.
    model = settings.MODEL_FILE.model.model_copy(update={"image_size": 1280})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"model": model})
    configuration = settings.MODEL_FILE.model_copy(update={"tracking": TrackingConfiguration(min_hits=3)})
    for number in range(12):
        seen = FramePipeline(FakeDetector((detect(500 + 20 * number, 400),)), configuration)
        monkeypatch.setattr(pipeline, "frame_pipeline", lambda made=seen: made)
        for _delivery in range(2):
            store.put(f"frame-{number}", jpeg)
            store.offer(FrameRef(line.camera_id, f"frame-{number}", start + timedelta(seconds=0.1 * number)))
            pipeline.detect_newest(line.camera_id)
    assert [row[1:] for row in counts()] == [("car", "forward", 1)]
    measured = (
        f'line_crossings_total{{camera_id="{line.camera_id}",direction="forward",line="gate",object_class="car"}}'
    )
    lines = client.get("/metrics").content.decode().splitlines()
    assert [each for each in lines if each.startswith(measured)] == [f"{measured} 1.0"]


def test_old_counts_go_with_their_time(redis_client: redis.Redis) -> None:
    line = make_line()
    add_crossings([crossing(line)], at=utc_now() - timedelta(days=366))
    add_crossings([crossing(line)], at=utc_now())
    retention.forget_old_frames()
    assert LineCount.objects.count() == 1
    assert forget_counts(before=utc_now()) == 1


@pytest.mark.parametrize(
    "ends",
    [None, [], [[0, 0]], [[0, 0], [1, 1.2]], [[0, 0], [1, "x"]], [[0.5, 0.5], [0.5, 0.505]], [[0, 0], [1, 1], [0, 1]]],
)
def test_line_without_two_ends_in_the_picture_is_refused(ends: object) -> None:
    line = CountingLine(camera=make_camera(), name="gate", ends=ends)
    with pytest.raises(ValidationError) as refused:
        line.full_clean()
    assert list(refused.value.message_dict) == ["ends"]


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create(username="chief", is_staff=True, is_superuser=True))
    return client


def warnings(desk: Client, camera: Camera) -> list[str]:
    answer = desk.get(f"/admin/cameras/camera/{camera.pk}/change/")
    return [str(message) for message in answer.context["messages"]]


def test_form_warns_where_a_camera_is_looked_at_too_rarely_to_count(desk: Client) -> None:
    sparse, often, without = make_camera(), make_camera(frame_interval=0.2), make_camera()
    make_line(sparse)
    make_line(often)
    assert warnings(desk, sparse) == [
        "The counting lines of this camera count next to nothing: one frame in 1.8 s is too rare to see most vehicles "
        "on both sides of a line. Set at most 0.2 seconds between frames (5 a second)."
    ]
    assert (warnings(desk, often), warnings(desk, without)) == ([], [])


@pytest.mark.parametrize("rows", [1, 3])
def test_list_of_counts_takes_the_same_queries_however_long(
    desk: Client, rows: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(rows):
        add_crossings([crossing(make_line())], at=NOON + timedelta(hours=number))
    with django_assert_num_queries(6):
        page = desk.get(LIST)
    assert page.context["cl"].result_count == rows
    assert f'<a href="{LIST}csv/?">' in page.content.decode()


def test_counts_cannot_be_changed_by_hand(desk: Client) -> None:
    add_crossings([crossing(make_line())], at=NOON)
    detail = f"{LIST}{LineCount.objects.get().pk}/change/"
    assert desk.get(detail).status_code == 200
    assert desk.post(detail, {}).status_code == 403
    assert desk.get(f"{LIST}add/").status_code == 403


@pytest_asyncio.fixture
async def close_connections_of_threads() -> AsyncIterator[None]:
    """The thread that reads for the download outlives the test; a connection of it would hold the test database."""
    yield
    await sync_to_async(connections.close_all)()


async def download(user: User, query: str) -> tuple[Any, list[list[str]]]:
    """The answer, and its rows where there are any."""
    client = AsyncClient()
    await client.aforce_login(user)
    answer: Any = await client.get(f"{LIST}csv/{query}")
    text = b"".join([part async for part in answer.streaming_content]) if answer.streaming else b""
    return answer, list(csv.reader(io.StringIO(text.decode())))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("close_connections_of_threads")
async def test_download_streams_what_the_list_is_narrowed_to_under_one_header() -> None:
    camera = await Camera.objects.acreate(name="=north", source="street://junction?seed=1")
    line = await CountingLine.objects.acreate(camera=camera, name="gate", ends=UPWARDS)
    for hour in range(3):
        kind = {"object_class": "bus" if hour else "car", "direction": "forward"}
        await LineCount.objects.acreate(line=line, hour=NOON + timedelta(hours=hour), count=hour + 1, **kind)
    chief = await User.objects.acreate(username="chief", is_staff=True, is_superuser=True)

    answer, rows = await download(chief, "?object_class__exact=bus")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert rows == [
        ["hour", "camera", "line", "class", "direction", "count"],
        ["2026-05-04T14:00:00.000Z", "'=north", "gate", "bus", "forward", "3"],
        ["2026-05-04T13:00:00.000Z", "'=north", "gate", "bus", "forward", "2"],
    ]
    assert len((await download(chief, ""))[1]) == 4
    assert (await download(chief, "?nonsense=1"))[0].status_code == 400
    clerk = await User.objects.acreate(username="clerk", is_staff=True)
    assert (await download(clerk, ""))[0].status_code == 403
