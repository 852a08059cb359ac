"""A real RTSP server as the camera: it is read, refuses, drops its connection, and freezes with the socket open."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice

import pytest
import redis
from pytest_django.fixtures import Settings

from cameras.capture import Capture
from cameras.frames import FrameRef, FrameStore, Offer
from cameras.models import Camera, Sampling, StreamState, Wanted
from cameras.sources import Terms, UnableToOpen, UnableToRead, open_stream, probe
from tests.rtsp_camera import NOT_INSTALLED, served, server_is_installed

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not server_is_installed(), reason=NOT_INSTALLED)]


@pytest.fixture(autouse=True)
def loopback(settings: Settings) -> None:
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})


def test_rtsp_probe_shows_the_picture() -> None:
    with served("--width", "640", "--height", "368") as camera:
        found = probe(camera.url())
    assert (found.width, found.height, found.codec, found.fps) == (640, 368, "h264", 25.0)
    assert found.picture_jpeg.startswith(b"\xff\xd8")


def test_rtsp_stream_gives_bursts_at_the_interval() -> None:
    with served() as camera, closing(open_stream(camera.url(), Terms(1.0))) as stream:
        bursts = list(islice(stream.bursts(threading.Event()), 4))
    assert [len(burst.pictures) for burst in bursts] == [1, 3, 3, 3]
    assert 1.8 < (bursts[3].captured_at - bursts[1].captured_at).total_seconds() < 2.3
    assert stream.figures().corrupt == 0


def test_rtsp_stream_of_rare_key_frames_keeps_the_interval() -> None:
    with (
        served("--key-every", "250") as camera,
        closing(open_stream(camera.url(), Terms(0.5, Sampling.KEY_FRAME))) as stream,
    ):
        bursts = list(islice(stream.bursts(threading.Event()), 5))
    assert 1.3 < (bursts[4].captured_at - bursts[1].captured_at).total_seconds() < 1.8


@pytest.mark.parametrize(
    ("credentials", "path", "sentence"),
    [
        ("operator:wrong@", "live", "The camera refuses this user name or password."),
        ("", "live", "The camera refuses this user name or password."),
        ("operator:geheim@", "other", "The camera has no stream under this path."),
    ],
)
def test_rtsp_refusal_is_explained(credentials: str, path: str, sentence: str) -> None:
    with served("--password", "geheim") as camera:
        assert probe(camera.url("operator:geheim@")).width == 320
        with pytest.raises(UnableToOpen) as refused:
            probe(camera.url(credentials, path))
    assert str(refused.value) == sentence


def test_rtsp_server_that_is_gone_is_explained() -> None:
    with served() as camera:
        pass
    with pytest.raises(UnableToOpen, match=r"^Nothing listens at this address and port\.$"):
        probe(camera.url())


def test_rtsp_probe_of_a_frozen_server_gives_up_in_time() -> None:
    with served() as camera:
        camera.hang()
        began = time.monotonic()
        with pytest.raises(UnableToOpen, match=r"^The camera did not answer in time\.$"):
            probe(camera.url(), timeout_seconds=2)
        assert time.monotonic() - began < 3


def test_rtsp_server_that_freezes_ends_the_stream_in_time() -> None:
    with served() as camera, closing(open_stream(camera.url(), Terms(0.5, read_seconds=1.5))) as stream:
        bursts = stream.bursts(threading.Event())
        next(bursts)
        camera.hang()
        began = time.monotonic()
        with pytest.raises(UnableToRead, match=r"^The camera sends no pictures\.$"):
            list(bursts)
        assert time.monotonic() - began < 3


@contextmanager
def capturing(client: redis.Redis, *, patience_seconds: float) -> Iterator[list[FrameRef]]:
    frames: list[FrameRef] = []

    def keep(ref: FrameRef, _offer: Offer) -> None:
        frames.append(ref)

    capture = Capture(store=FrameStore(client), on_frame=keep, on_state=lambda *_: None, limit=5, default_interval=0.5)
    capture.patience_seconds = patience_seconds
    stop = threading.Event()
    thread = threading.Thread(target=capture.run, args=(stop,))
    thread.start()
    try:
        yield frames
    finally:
        stop.set()
        thread.join(2)
        assert not thread.is_alive()


def wait_for(camera: Camera, state: StreamState, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while Camera.objects.get(pk=camera.pk).state != state:
        assert time.monotonic() < until, f"{state} did not come: {Camera.objects.values()}"
        time.sleep(0.05)


@pytest.mark.django_db(transaction=True)
def test_rtsp_camera_that_drops_its_connection_comes_back(redis_client: redis.Redis) -> None:
    with served() as server:
        camera = Camera.objects.create(name="gate", source=server.url(), wanted=Wanted.RUNNING)
        with capturing(redis_client, patience_seconds=4) as frames:
            wait_for(camera, StreamState.ONLINE)
            server.stop()
            wait_for(camera, StreamState.OFFLINE)
            went_offline_since = Camera.objects.get(pk=camera.pk).state_since
            assert Camera.objects.get(pk=camera.pk).last_error != ""
            count = len(frames)
            server.start()
            wait_for(camera, StreamState.ONLINE)
            assert len(frames) > count
    camera.refresh_from_db()
    assert camera.state_since
    assert went_offline_since
    assert camera.state_since > went_offline_since


@pytest.mark.django_db(transaction=True)
def test_rtsp_camera_that_freezes_is_stale_then_offline_then_back(redis_client: redis.Redis) -> None:
    with served() as server:
        camera = Camera.objects.create(name="gate", source=server.url(), wanted=Wanted.RUNNING)
        with capturing(redis_client, patience_seconds=7):
            wait_for(camera, StreamState.ONLINE)
            server.hang()
            wait_for(camera, StreamState.STALE, seconds=7)
            wait_for(camera, StreamState.OFFLINE, seconds=7)
            assert Camera.objects.get(pk=camera.pk).last_error == "The camera sends no pictures."
            server.go_on()
            wait_for(camera, StreamState.ONLINE)
