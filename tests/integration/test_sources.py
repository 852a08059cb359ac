"""Video files and streets, read for real."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import timedelta
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from pytest_django.fixtures import Settings

from cameras.models import Sampling
from cameras.sampling import Arrival, Burst, Sampler, Schedule, prepare_decoder
from cameras.sources import Terms, UnableToOpen, UnableToRead, encode_jpeg, open_stream, probe, read_recording
from tests.clips import number_of, numbered_picture, write_clip

pytestmark = pytest.mark.integration


@pytest.fixture
def videos(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    allowed = (ipaddress.ip_network("127.0.0.0/8"),)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"camera_networks": allowed})
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


def sampled(path: Path, interval_seconds: float, sampling: Sampling) -> list[tuple[float, list[int]]]:
    """Position and picture numbers of every sample of a clip."""
    terms = Terms(interval_seconds, sampling)
    return [
        (round(position, 2), [number_of(picture) for picture in burst.pictures])
        for position, burst in read_recording(path, terms)
    ]


def decoded_count(path: Path, interval_seconds: float, sampling: Sampling) -> int:
    """How many pictures the decoder gave while the clip was sampled."""
    counted = 0

    class Counting(Sampler):
        def _look_at(self, frame: av.VideoFrame) -> Burst | None:
            nonlocal counted
            counted += 1
            return super()._look_at(frame)

    sampler = Counting(interval_seconds=interval_seconds, sampling=sampling)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        prepare_decoder(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                sampler.push(packet, Arrival(time.time(), float(packet.dts * packet.time_base)))
    return counted


@pytest.mark.parametrize("b_frames", [0, 2])
def test_key_frames_are_sampled_where_they_come_often_enough(videos: Path, b_frames: int) -> None:
    clip = write_clip(videos / "clip.mp4", b_frames=b_frames)
    numbers = [pictures for _position, pictures in sampled(clip, 1.8, Sampling.KEY_FRAME)]
    assert numbers == [[0], [50]]


def test_burst_follows_a_key_frame_over_a_third_of_a_second(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4")
    assert sampled(clip, 1.0, Sampling.BURST) == [
        (0.0, [0]),
        (1.32, [25, 29, 33]),
        (2.32, [50, 54, 58]),
        (3.32, [75, 79, 83]),
    ]


def test_stream_of_rare_key_frames_is_decoded_forward_from_the_last(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4", gop=250)
    numbers = [pictures for _position, pictures in sampled(clip, 1.0, Sampling.KEY_FRAME)]
    assert numbers == [[0], [25], [50], [75]]


@pytest.mark.parametrize(
    ("interval", "numbers"),
    [(1.8, [0, 45, 100, 150, 200, 225, 250, 300]), (2.2, [0, 50, 100, 150, 200, 250]), (4.0, [0, 100, 200, 300])],
)
def test_sample_waits_for_a_key_frame_that_is_near(videos: Path, interval: float, numbers: list[int]) -> None:
    clip = write_clip(videos / "clip.mp4", frames=330, gop=50)
    samples = sampled(clip, interval, Sampling.KEY_FRAME)
    assert [round(position * 25) for position, _pictures in samples] == numbers


def test_every_frame_sampling_keeps_the_interval(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4")
    positions = [position for position, _pictures in sampled(clip, 0.2, Sampling.EVERY_FRAME)]
    assert positions == pytest.approx([number / 5 for number in range(20)], abs=0.041)


def test_recording_tells_when_each_picture_is_shown_though_decoded_in_another_order(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4", frames=60, b_frames=2)
    samples = sampled(clip, 0.2, Sampling.EVERY_FRAME)
    assert [position for position, _pictures in samples] == [round(one / 25, 2) for _position, [one] in samples]


def test_only_what_is_sampled_is_decoded(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4", frames=250)
    assert decoded_count(clip, 1.8, Sampling.KEY_FRAME) == 6
    assert decoded_count(clip, 1.8, Sampling.BURST) == 1 + 5 * 9
    assert decoded_count(clip, 1.8, Sampling.EVERY_FRAME) == 250


def test_schedule_keeps_its_grid_and_starts_anew_after_a_gap() -> None:
    schedule = Schedule(2.0)
    schedule.advance(10.0)
    assert schedule.due == 12.0
    schedule.advance(12.7)
    assert schedule.due == 14.0
    schedule.advance(20.0)
    assert schedule.due == 22.0
    schedule.hold(25.0)
    assert not schedule.is_due(24.9)


def test_corrupt_packets_are_counted_and_left_behind(videos: Path) -> None:
    clip = write_clip(videos / "clip.mp4")
    sampler = Sampler(interval_seconds=0.5, sampling=Sampling.EVERY_FRAME)
    bursts: list[Burst] = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        prepare_decoder(stream)
        for position, packet in enumerate(container.demux(stream)):
            if 30 <= position < 35:
                memoryview(packet)[:] = b"\xff" * packet.size
            if packet.size:
                burst = sampler.push(packet, Arrival(time.time(), position / 25))
                bursts += [burst] if burst else []
    assert sampler.corrupt_count == 5
    assert number_of(bursts[-1].pictures[0]) > 80


def test_change_of_resolution_is_followed(videos: Path) -> None:
    """Two clips, one after the other in one elementary stream, as a camera does when it is reconfigured."""
    small = write_clip(videos / "small.h264")
    large = write_clip(videos / "large.h264", width=640, height=480)
    both = videos / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    sampler = Sampler(interval_seconds=1.0, sampling=Sampling.KEY_FRAME)
    shapes = []
    with av.open(str(both)) as container:
        stream = container.streams.video[0]
        prepare_decoder(stream)
        for position, packet in enumerate(container.demux(stream)):
            burst = sampler.push(packet, Arrival(time.time(), position / 25)) if packet.size else None
            shapes += [burst.pictures[0].shape] if burst else []
    assert shapes == [(240, 320, 3)] * 4 + [(480, 640, 3)] * 4


def take(source: str, count: int, terms: Terms, *, seconds: float = 20) -> list[Burst]:
    stop = threading.Event()
    alarm = threading.Timer(seconds, stop.set)
    alarm.start()
    with closing(open_stream(source, terms)) as stream:
        bursts = list(islice(stream.bursts(stop), count))
    alarm.cancel()
    assert len(bursts) == count, "it took too long"
    return bursts


def test_file_is_played_in_real_time_and_starts_over(videos: Path) -> None:
    write_clip(videos / "clip.mp4", frames=50)
    began = time.monotonic()
    bursts = take("clip.mp4", 4, Terms(1.0, Sampling.KEY_FRAME))
    assert [number_of(burst.pictures[0]) for burst in bursts] == [0, 25, 0, 25]
    assert time.monotonic() - began > 2.9
    gaps = [later.captured_at - earlier.captured_at for earlier, later in pairwise(bursts)]
    assert min(gaps) > timedelta(seconds=0.9)


def test_file_without_video_is_refused(videos: Path) -> None:
    with av.open(str(videos / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnableToOpen, match=r"^There is no video at this address\.$"):
        open_stream("sound.mp4", Terms(1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{clip}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile clip.ts\n"),
        ("list.txt", "this is no video"),
    ],
)
def test_file_that_names_other_files_is_refused(videos: Path, name: str, content: str) -> None:
    clip = write_clip(videos / "clip.ts")
    (videos / name).write_text(content.format(clip=clip))
    with pytest.raises(UnableToOpen, match=r"^What is there is not video in a form that is allowed\.$"):
        open_stream(name, Terms(1))


def vast_jpeg(side_px: int) -> bytes:
    """A grey square as a small JPEG: each block of it is the two codes that say "as the one before"."""
    _done, encoded = cv2.imencode(".jpg", np.full((8, 8), 128, np.uint8))
    small = bytearray(encoded.tobytes())
    size_at, scan_at = small.find(b"\xff\xc0") + 5, small.find(b"\xff\xda") + 2
    small[size_at : size_at + 4] = side_px.to_bytes(2, "big") * 2
    head = bytes(small[: scan_at + int.from_bytes(small[scan_at : scan_at + 2], "big")])
    return head + b"\x28\xa2\x8a" * (side_px * side_px // 64 // 4 + 1) + b"\xff\xd9"


def memory_of(program: str, *arguments: str) -> tuple[str, int]:
    """What a program of its own process wrote, and the most memory it took, in MiB."""
    program += (
        "\nimport resource, sys; sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip(), int(done.stderr.split()[-1])


READ_ALL = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from pathlib import Path
from cameras.models import Sampling
from cameras.sources import Terms, read_recording, UnableToOpen, UnableToRead
try:
    for _position, burst in read_recording(Path(sys.argv[1]), Terms(0.01, Sampling.EVERY_FRAME)):
        print(burst.pictures[0].shape)
except (UnableToOpen, UnableToRead) as error:
    print(error)
"""
TOO_LARGE = "The pictures cannot be decoded or are larger than 40 megapixels; let the camera send smaller ones."


def test_vast_pictures_are_refused_before_memory_is_taken_for_them(videos: Path) -> None:
    clip = videos / "vast.mjpeg"
    clip.write_bytes(encode_jpeg(numbered_picture(1)))
    says, usual_mib = memory_of(READ_ALL, str(clip))
    assert says == "(240, 320, 3)"
    clip.write_bytes(vast_jpeg(16_000) * 2)
    says, mib = memory_of(READ_ALL, str(clip))
    assert says == TOO_LARGE
    assert mib < usual_mib + 60


def test_pictures_that_grow_vast_are_refused(videos: Path) -> None:
    clip = videos / "growing.mjpeg"
    clip.write_bytes(encode_jpeg(numbered_picture(1)) * 30 + vast_jpeg(7_000))
    samples = read_recording(clip, Terms(0.01, Sampling.EVERY_FRAME))
    assert [burst.pictures[0].shape for _position, burst in islice(samples, 29)] == [(240, 320, 3)] * 29
    with pytest.raises(UnableToRead) as refused:
        list(samples)
    assert str(refused.value) == TOO_LARGE


def test_large_pictures_are_read(videos: Path) -> None:
    clip = videos / "large.mjpeg"
    clip.write_bytes(vast_jpeg(6_000))
    [(_position, burst)] = read_recording(clip, Terms(1, Sampling.EVERY_FRAME))
    assert burst.pictures[0].shape == (6_000, 6_000, 3)


def test_probe_says_that_the_pictures_are_too_large(videos: Path) -> None:
    (videos / "vast.mjpeg").write_bytes(vast_jpeg(16_000) * 2)
    with pytest.raises(UnableToOpen) as refused:
        probe("vast.mjpeg")
    assert str(refused.value) == TOO_LARGE


def test_street_is_drawn_by_the_clock(videos: Path) -> None:
    began = time.monotonic()
    bursts = take("street://junction?seed=4", 3, Terms(0.8))
    assert time.monotonic() - began > 1.6
    assert [len(burst.pictures) for burst in bursts] == [1, 3, 3]
    assert {burst.pictures[-1].shape for burst in bursts} == {(720, 1280, 3)}
    assert {picture.shape for burst in bursts for picture in burst.pictures[:-1]} == {(360, 640, 3)}
    assert not np.array_equal(bursts[1].pictures[0], bursts[1].pictures[1])


def test_street_stops_at_once(videos: Path) -> None:
    stop = threading.Event()
    with closing(open_stream("street://junction?seed=4", Terms(60))) as stream:
        bursts = stream.bursts(stop)
        next(bursts)
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        assert list(bursts) == []
        assert time.monotonic() - began < 30


def test_probe_shows_what_it_saw(videos: Path) -> None:
    write_clip(videos / "clip.mp4")
    found = probe("clip.mp4")
    picture = cv2.imdecode(np.frombuffer(found.picture_jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert (picture.shape, found.codec, found.fps) == ((240, 320, 3), "h264", 25.0)
    assert 0 < found.latency_ms < 5000


def test_probe_of_a_refused_address_says_why(videos: Path) -> None:
    with pytest.raises(UnableToOpen, match=r"^10\.0\.0\.1 .*ALGO_CAMERA_NETWORKS"):
        probe("rtsp://user:geheim@10.0.0.1/live")
