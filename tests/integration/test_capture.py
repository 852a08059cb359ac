"""The capture process on video files, with a real Redis and a real database."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import redis
from django.utils import translation
from django.utils.translation import trans_real
from prometheus_client import REGISTRY
from pytest_django.fixtures import Settings

from cameras import stream_thread
from cameras.control import start_camera, stop_camera
from cameras.frames import FrameStore
from cameras.models import Camera, Sampling, StreamState
from cameras.ownership import Ownership
from cameras.sources import Burst, Figures, Format, open_stream
from cameras.wording import in_words
from tests.capturing import capturing, running, threads_of, wait_until
from tests.clips import write_clip
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def videos(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "road.mp4")
    return folder


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


def test_capture_offers_pictures_that_detection_can_read(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    began_at = utc_now()
    with capturing(store) as seen:
        wait_until(lambda: len(seen.of(camera)) >= 2)
        first, second = seen.of(camera)[:2]
        assert began_at < first.captured_at < second.captured_at < utc_now()
        assert (len(first.burst), len(second.burst)) == (1, 3)
        assert second.frame_key == second.burst[-1]
        assert second.captured_at == second.moments[-1]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(second.moments)]
        assert [round(gap, 1) for gap in gaps] == [0.1, 0.1]
        jpeg = store.get(second.frame_key)
        assert jpeg
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (240, 320, 3)


def test_capture_is_online_from_the_first_picture_and_says_when_it_ends(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    with capturing(store) as seen:
        wait_until(lambda: StreamState.ONLINE in seen.states_of(camera))
        camera.refresh_from_db()
        assert camera.state == StreamState.ONLINE
        assert camera.state_since
        assert utc_now() - camera.state_since < timedelta(seconds=60)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_frame_at)
    camera.refresh_from_db()
    assert (camera.state, camera.last_error) == (StreamState.OFFLINE, "Capture is not running.")


def test_capture_gives_up_the_frame_that_nobody_took(
    videos: Path, store: FrameStore, redis_client: redis.Redis
) -> None:
    camera = running("road", sampling=Sampling.EVERY_FRAME)
    with capturing(store) as seen:
        wait_until(lambda: len(seen.frames) >= 3)
        offers = [offer for _ref, offer in seen.frames[:3]]
        assert [offer.wake for offer in offers] == [True, False, False]
        assert offers[1].replaced == seen.of(camera)[0]
        assert store.get(seen.of(camera)[0].frame_key) is None


def test_capture_follows_what_is_wanted(videos: Path, store: FrameStore) -> None:
    camera = Camera.objects.create(name="road", source="road.mp4")
    with capturing(store) as seen:
        start_camera(camera.pk)
        wait_until(lambda: seen.of(camera))
        stop_camera(camera.pk)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.STOPPED)
        count = len(seen.frames)
        start_camera(camera.pk)
        wait_until(lambda: len(seen.frames) > count)
        camera.delete()
        wait_until(lambda: not threads_of(camera))


def test_what_went_wrong_is_kept_in_english_whatever_the_installation_speaks(
    videos: Path, store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trans_real, "_default", trans_real.translation("zh-hans"))
    camera = running("gone", "gone.mp4")
    with capturing(store) as seen:
        wait_until(lambda: StreamState.OFFLINE in seen.states_of(camera))
        camera.refresh_from_db()
    assert camera.last_error == "There is no video file gone.mp4 in the media folder."
    with translation.override("zh-hans"):
        assert in_words(camera.last_error) == "媒体目录中没有视频文件 gone.mp4。"


def test_capture_keeps_one_cameras_failure_from_the_others(videos: Path, store: FrameStore) -> None:
    (videos / "broken.mp4").write_bytes(b"this is no video" * 100)
    broken, fine = running("broken", "broken.mp4"), running("fine")
    with capturing(store) as seen:
        wait_until(lambda: StreamState.OFFLINE in seen.states_of(broken))
        count = len(seen.of(fine))
        wait_until(lambda: len(seen.of(fine)) > count + 1)
        broken.refresh_from_db()
        assert broken.last_error == "What is there is not video in a form that is allowed."


def test_capture_opens_the_new_source_when_it_is_changed(videos: Path, store: FrameStore) -> None:
    write_clip(videos / "other.mp4", width=640, height=360)
    camera = running("road")
    with capturing(store) as seen:
        wait_until(lambda: seen.of(camera))
        start_camera(camera.pk, source="other.mp4")

        def shape() -> tuple[int, ...]:
            jpeg = store.get(seen.of(camera)[-1].frame_key)
            picture = cv2.imdecode(np.frombuffer(jpeg or b"\0", np.uint8), cv2.IMREAD_COLOR)
            return () if picture is None else picture.shape

        wait_until(lambda: shape() == (360, 640, 3))
        assert threads_of(camera) == 1


def test_capture_honours_the_limit(videos: Path, store: FrameStore) -> None:
    cameras = [running(f"road {number}") for number in range(3)]
    with capturing(store, limit=2) as seen:
        wait_until(lambda: seen.of(cameras[0]) and seen.of(cameras[1]))
        wait_until(lambda: Camera.objects.get(pk=cameras[2].pk).state == StreamState.OFFLINE)
        assert seen.of(cameras[2]) == []
        assert "ALGO_MAX_CONCURRENT_STREAMS" in Camera.objects.get(pk=cameras[2].pk).last_error


def test_capture_waits_while_the_camera_is_paused(videos: Path, store: FrameStore, redis_client: redis.Redis) -> None:
    camera = running("road", sampling=Sampling.EVERY_FRAME)
    with capturing(store, interval=0.1) as seen:
        wait_until(lambda: seen.of(camera))
        store.pause(camera.pk, 2.5)
        paused_at = utc_now()
        wait_until(lambda: seen.of(camera)[-1].captured_at > paused_at + timedelta(seconds=2.5))
        # What was being captured just then may still come.
        meanwhile = [ref for ref in seen.of(camera) if ref.captured_at > paused_at + timedelta(seconds=1)]
        assert meanwhile[0].captured_at >= paused_at + timedelta(seconds=2.4)


def test_capture_offers_nothing_while_detection_is_off(videos: Path, store: FrameStore) -> None:
    camera = running("road", detection_enabled=False)
    with capturing(store) as seen:
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_frame_at)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
        assert seen.frames == []
        Camera.objects.filter(pk=camera.pk).update(detection_enabled=True)
        wait_until(lambda: seen.of(camera))


def test_capture_lets_cameras_begin_one_after_another(videos: Path, store: FrameStore) -> None:
    cameras = [running(f"road {number}") for number in range(4)]
    with capturing(store, interval=0.8) as seen:
        wait_until(lambda: all(seen.of(camera) for camera in cameras))
        begun = [seen.of(camera)[0].captured_at for camera in cameras]
        # 0.2 s after each other; a busy machine may let one of them begin late.
        assert (max(begun) - min(begun)).total_seconds() > 0.3


def test_capture_goes_on_after_a_round_that_broke(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    with capturing(store, fails=True) as seen:
        wait_until(lambda: StreamState.ONLINE in seen.states_of(camera))
        assert seen.of(camera)


class UnavailableStore(FrameStore):
    """A frame store whose server went away."""

    away = True

    def put_all(self, jpegs: Mapping[str, bytes]) -> None:
        if self.away:
            raise redis.ConnectionError
        super().put_all(jpegs)


def test_capture_outlives_an_absence_of_redis(videos: Path, redis_client: redis.Redis) -> None:
    camera = running("road")
    store = UnavailableStore(redis_client)
    with capturing(store) as seen:
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_frame_at)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
        assert seen.frames == []
        store.away = False
        wait_until(lambda: seen.of(camera))


def test_frames_of_a_camera_that_is_not_held_any_more_are_counted(
    videos: Path, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    running("road")
    monkeypatch.setattr(Ownership, "is_held", lambda _self: False)
    before = dropped("unowned")
    with capturing(FrameStore(redis_client)) as seen:
        wait_until(lambda: dropped("unowned") > before)
        assert seen.frames == []


def dropped(reason: str) -> float:
    return REGISTRY.get_sample_value("frames_dropped_total", {"reason": reason}) or 0.0


class StuckStream:
    """A stream that hangs where no timeout reaches, the first time it is read."""

    opened = 0
    format = Format("none", 25.0)
    never = threading.Event()

    def __init__(self) -> None:
        StuckStream.opened += 1

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        self.never.wait(15)
        yield from ()

    def hold(self, seconds: float) -> None: ...

    def change_interval(self, interval_seconds: float) -> None: ...

    def figures(self) -> Figures:
        return Figures()

    def close(self) -> None: ...


def test_capture_replaces_a_thread_that_hangs(videos: Path, store: FrameStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        stream_thread,
        "open_stream",
        lambda source, terms, **more: open_stream(source, terms, **more) if StuckStream.opened else StuckStream(),
    )
    camera = running("road")
    with capturing(store, interval=0.1, patience_seconds=0.2) as seen:
        wait_until(lambda: seen.of(camera))
        assert StuckStream.opened == 1
        StuckStream.never.set()
        wait_until(lambda: threads_of(camera) == 1)


def test_capture_writes_its_state_again_where_another_overwrote_it(videos: Path, store: FrameStore) -> None:
    camera = running("road")
    with capturing(store):
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
        Camera.objects.filter(pk=camera.pk).update(state=StreamState.STALE)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).state == StreamState.ONLINE)
