"""Cameras over RTSP that misbehave under a capture at work: what the operator sees, and that each comes back."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import redis
from pytest_django.fixtures import Settings

from cameras.frames import FrameStore
from cameras.models import Camera, StreamState
from tests.capturing import Seen, capturing, running, wait_until
from tests.clips import write_clip
from tests.rtsp_camera import needs_rtsp_server, served

pytestmark = [
    pytest.mark.integration,
    pytest.mark.django_db(transaction=True),
    needs_rtsp_server,
]

CONNECTING, ONLINE = StreamState.CONNECTING, StreamState.ONLINE
STALE, OFFLINE = StreamState.STALE, StreamState.OFFLINE
INTERVAL_SECONDS = 0.5
PATIENCE_SECONDS = 9.0
"""A camera is stale after five seconds: so there are four more in which a slow machine may notice it."""
SMALL, LARGE = (320, 240), (640, 480)


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})


@pytest.fixture
def store(redis_client: redis.Redis) -> FrameStore:
    return FrameStore(redis_client)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "small.mp4")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "large.mp4", width=LARGE[0], height=LARGE[1])


def wait_for(camera: Camera, state: StreamState, seconds: float = 60) -> Camera:
    """The camera as the operator sees it once it is in this state."""
    wait_until(lambda: Camera.objects.filter(pk=camera.pk, state=state).exists(), seconds)
    return Camera.objects.get(pk=camera.pk)


def told(seen: Seen, camera: Camera) -> list[tuple[StreamState, str]]:
    """Each change of state so far with its reason."""
    return [(state, error) for number, state, error in seen.states if number == camera.pk]


def wait_until_told(seen: Seen, camera: Camera, state: StreamState, error: str = "") -> None:
    """Until this change was told: a state that passes soon may be over before a slow machine looks for it."""
    wait_until(lambda: (state, error) in told(seen, camera), 60)


def size_of_newest(store: FrameStore, seen: Seen) -> tuple[int, int]:
    """Width and height of the newest frame's picture."""
    jpeg = store.get(seen.frames[-1][0].frame_key)
    picture = cv2.imdecode(np.frombuffer(jpeg or b"\0", np.uint8), cv2.IMREAD_COLOR)
    return (0, 0) if picture is None else (picture.shape[1], picture.shape[0])


def wait_for_frames(seen: Seen, count: int = 3) -> None:
    """Until so many more frames came: the camera is read on and not only open."""
    had = len(seen.frames)
    wait_until(lambda: len(seen.frames) >= had + count, 60)


def test_rtsp_camera_connects_and_is_online(small: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS) as seen:
        camera = running("gate", server.url())
        camera = wait_for(camera, ONLINE)
        wait_for_frames(seen)
        assert told(seen, camera) == [(CONNECTING, ""), (ONLINE, "")]
        assert size_of_newest(store, seen) == SMALL
        assert camera.last_error == ""


def test_rtsp_camera_that_drops_its_connection_comes_back(small: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.tell("drop")
        offline = wait_for(camera, OFFLINE)
        assert offline.last_error == "The camera ended the stream."
        online = wait_for(camera, ONLINE)
        wait_for_frames(seen)
        assert [state for state, _error in told(seen, camera)] == [CONNECTING, ONLINE, OFFLINE, ONLINE]
        assert online.last_error == ""
        assert online.state_since
        assert offline.state_since
        assert online.state_since > offline.state_since


def test_rtsp_camera_that_is_switched_off_is_offline_until_it_is_back(small: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.stop()
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_error == "Nothing listens at this address and port.")
        assert Camera.objects.get(pk=camera.pk).state == OFFLINE
        server.start()
        wait_for(camera, ONLINE)
        wait_for_frames(seen)


def test_rtsp_camera_whose_picture_freezes_is_stale_then_offline_then_back(small: Path, store: FrameStore) -> None:
    """Its connection stays open, RTSP is answered, also to the next connection, and RTCP goes on."""
    with (
        served(small) as server,
        capturing(store, interval=INTERVAL_SECONDS, patience_seconds=PATIENCE_SECONDS) as seen,
    ):
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.tell("freeze")
        wait_until_told(seen, camera, STALE, "No new picture comes.")
        wait_until_told(seen, camera, OFFLINE, "The camera sends no pictures.")
        count = len(seen.frames)
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_error == "The camera did not answer in time.", 90)
        assert Camera.objects.get(pk=camera.pk).state == OFFLINE
        assert len(seen.frames) == count
        server.tell("thaw")
        assert wait_for(camera, ONLINE, seconds=90).last_error == ""
        wait_for_frames(seen)
        assert [state for state, _error in told(seen, camera)] == [CONNECTING, ONLINE, STALE, OFFLINE, ONLINE]


def test_rtsp_camera_that_hangs_is_stale_then_offline_then_back(small: Path, store: FrameStore) -> None:
    """Nothing is answered at all, while the kernel keeps its sockets open."""
    with (
        served(small) as server,
        capturing(store, interval=INTERVAL_SECONDS, patience_seconds=PATIENCE_SECONDS) as seen,
    ):
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.hang()
        wait_until_told(seen, camera, STALE, "No new picture comes.")
        wait_until_told(seen, camera, OFFLINE, "The camera sends no pictures.")
        server.go_on()
        wait_for(camera, ONLINE, seconds=90)
        wait_for_frames(seen)


def test_rtsp_camera_changes_its_resolution_without_a_pause(small: Path, large: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        for clip, size in ((large, LARGE), (small, SMALL)):
            server.tell(f"clip {clip}")
            wait_for_frames(seen, count=5)
            assert size_of_newest(store, seen) == size
        assert told(seen, camera) == [(CONNECTING, ""), (ONLINE, "")]


def test_rtsp_camera_comes_back_with_another_resolution(small: Path, large: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.stop()
        wait_for(camera, OFFLINE)
        server.arguments = (str(large),)
        server.start()
        wait_for(camera, ONLINE)
        wait_for_frames(seen, count=1)
        assert size_of_newest(store, seen) == LARGE


def test_rtsp_camera_that_sends_rubbish_is_stale_then_offline_then_back(small: Path, store: FrameStore) -> None:
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS, patience_seconds=3) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        server.tell("rubbish")
        wait_until_told(seen, camera, STALE, "No new picture comes.")
        wait_until_told(seen, camera, OFFLINE, "No picture can be made of what the camera sends.")
        server.tell(f"clip {small}")
        assert wait_for(camera, ONLINE, seconds=90).last_error == ""
        wait_for_frames(seen)
        assert size_of_newest(store, seen) == SMALL


def test_rtsp_camera_whose_stream_is_disturbed_is_read_on(small: Path, store: FrameStore) -> None:
    """Bytes that are neither RTSP nor RTP swallow some of it; then it is understood again, or connected to anew."""
    with served(small) as server, capturing(store, interval=INTERVAL_SECONDS, patience_seconds=6) as seen:
        camera = running("gate", server.url())
        wait_for(camera, ONLINE)
        wait_for_frames(seen)
        server.tell("noise")
        count = len(seen.frames)
        wait_for_frames(seen, count=5)
        moments = [ref.captured_at for ref, _offer in seen.frames[count - 1 :]]
        assert max(later - earlier for earlier, later in pairwise(moments)) > timedelta(seconds=2)
        assert wait_for(camera, ONLINE).last_error == ""
        assert size_of_newest(store, seen) == SMALL
