"""A real RTSP server as the camera: it is read in each codec, refuses, hangs, and changes its pictures."""

from __future__ import annotations

import ipaddress
import threading
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import pytest
from pytest_django.fixtures import Settings

from cameras.models import Sampling
from cameras.sources import Terms, UnableToOpen, UnableToRead, open_stream, probe
from detection.benchmark import read_clip
from tests.clips import Codec, number_of, write_clip
from tests.real_data import JUNCTION, OVERHEAD, needed
from tests.rtsp_camera import needs_rtsp_server, served

pytestmark = [pytest.mark.integration, needs_rtsp_server]


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
    assert 1.5 < (bursts[3].captured_at - bursts[1].captured_at).total_seconds() < 3
    assert stream.figures().corrupt == 0


@pytest.mark.parametrize(("codec", "name"), [("h264", "h264"), ("h265", "hevc"), ("mjpeg", "mjpeg")])
def test_rtsp_stream_of_each_codec_gives_bursts(tmp_path: Path, codec: Codec, name: str) -> None:
    with served(write_clip(tmp_path / "clip.mkv", codec=codec)) as camera:
        found = probe(camera.url())
        with closing(open_stream(camera.url(), Terms(1.0))) as stream:
            bursts = list(islice(stream.bursts(threading.Event()), 4))
            assert stream.figures().corrupt == 0
    assert (found.width, found.height, found.codec, found.fps) == (320, 240, name, 25.0)
    assert [len(burst.pictures) for burst in bursts] == [1, 3, 3, 3]
    first, _second, third = (number_of(picture) for picture in bursts[2].pictures)
    assert (third - first) % 100 == pytest.approx(8, abs=3)
    assert (number_of(bursts[3].pictures[0]) - first) % 100 == pytest.approx(25, abs=4)


@pytest.mark.real_data
@pytest.mark.parametrize(("clip", "size"), [(JUNCTION, (800, 600)), (OVERHEAD, (640, 360))])
def test_rtsp_stream_of_a_real_road_shows_the_clips_pictures(clip: Path, size: tuple[int, int]) -> None:
    shown = list(read_clip(needed(clip)))
    with served(clip) as camera, closing(open_stream(camera.url(), Terms(0.5))) as stream:
        bursts = list(islice(stream.bursts(threading.Event()), 5))
        assert stream.figures().corrupt == 0
    for picture in (burst.pictures[-1] for burst in bursts):
        assert picture.shape == (size[1], size[0], 3)
        assert min(float(cv2.absdiff(picture, each).mean()) for each in shown) < 2


def test_rtsp_stream_follows_another_resolution(tmp_path: Path) -> None:
    small, large = write_clip(tmp_path / "small.mp4"), write_clip(tmp_path / "large.mp4", width=640, height=480)
    sizes = []
    with served(small) as camera, closing(open_stream(camera.url(), Terms(0.5))) as stream:
        for number, burst in enumerate(islice(stream.bursts(threading.Event()), 10)):
            sizes.append({picture.shape[:2] for picture in burst.pictures})
            if number == 3:
                camera.tell(f"clip {large}")
        assert stream.figures().corrupt == 0
    assert all(len(each) == 1 for each in sizes)
    assert (sizes[0], sizes[-1]) == ({(240, 320)}, {(480, 640)})


def test_rtsp_stream_of_rare_key_frames_keeps_the_interval() -> None:
    with (
        served("--key-every", "250") as camera,
        closing(open_stream(camera.url(), Terms(0.5, Sampling.KEY_FRAME))) as stream,
    ):
        bursts = list(islice(stream.bursts(threading.Event()), 5))
    assert 1.2 < (bursts[4].captured_at - bursts[1].captured_at).total_seconds() < 2.5


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
        assert time.monotonic() - began < 15


def test_rtsp_stream_whose_opening_takes_too_long_is_not_open() -> None:
    """FFmpeg would open what it has heard until then, and give its first picture as if more were to come."""
    with served() as camera, pytest.raises(UnableToOpen, match=r"^The camera did not answer in time\.$"):
        open_stream(camera.url(), Terms(0.5, open_seconds=0.8))


def test_rtsp_server_that_freezes_ends_the_stream_in_time() -> None:
    with served() as camera, closing(open_stream(camera.url(), Terms(0.5, read_seconds=1.5))) as stream:
        bursts = stream.bursts(threading.Event())
        next(bursts)
        camera.hang()
        began = time.monotonic()
        with pytest.raises(UnableToRead, match=r"^The camera sends no pictures\.$"):
            list(bursts)
        assert time.monotonic() - began < 15


def test_rtsp_picture_that_freezes_ends_the_stream_in_time() -> None:
    """RTCP goes on meanwhile, which is no picture."""
    with served() as camera, closing(open_stream(camera.url(), Terms(0.5, read_seconds=6))) as stream:
        bursts = stream.bursts(threading.Event())
        next(bursts)
        camera.tell("freeze")
        began = time.monotonic()
        with pytest.raises(UnableToRead, match=r"^The camera sends no pictures\.$"):
            list(bursts)
        assert time.monotonic() - began < 20
