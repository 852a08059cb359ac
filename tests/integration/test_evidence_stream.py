"""A camera with two streams: road users are found on the small one, evidence comes from the main one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path

import pytest
import redis
import structlog
from pytest_django.fixtures import Settings

from cameras.addresses import AllowedSource
from cameras.frames import FrameStore
from cameras.models import Camera, Sampling, StreamState
from cameras.sources import Burst, Terms, UnableToOpen, evidence, open_stream, streams
from cameras.sources.devices import _is_there
from detection.detect import read_picture
from tests.capturing import capturing, running, wait_until
from tests.clips import number_of, write_clip

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def videos(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "small.mp4")
    write_clip(folder / "main.mp4", width=640, height=480)
    return folder


def test_burst_shows_its_last_picture_as_the_main_stream_has_it() -> None:
    with closing(open_stream("main.mp4", Terms(0.5), detection_source="small.mp4")) as stream:
        # The first have none yet, nor have those of which the main stream's picture is too old.
        shown = (burst for burst in stream.bursts(threading.Event()) if burst.evidence is not None)
        bursts = list(islice(shown, 4))
        decoded = stream.figures().decoded
    for burst in bursts:
        assert burst.evidence is not None
        assert (burst.pictures[-1].shape, burst.evidence.shape) == ((240, 320, 3), (480, 640, 3))
        assert abs(number_of(burst.evidence) - number_of(burst.pictures[-1])) <= 25
    assert decoded > 2 * 3 * len(bursts)


def test_detection_goes_on_without_the_main_stream(videos: Path) -> None:
    (videos / "main.mp4").write_bytes(b"this is no video" * 100)
    with closing(open_stream("main.mp4", Terms(0.3), detection_source="small.mp4")) as stream:
        bursts = list(islice(stream.bursts(threading.Event()), 3))
        assert [burst.evidence for burst in bursts] == [None, None, None]
        assert stream.figures().evidence_error == "What is there is not video in a form that is allowed."


def test_main_stream_that_breaks_unexpectedly_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    class Breaking(evidence._MainStream):
        def __init__(self, source: AllowedSource, terms: Terms) -> None:
            opened.append(source)
            raise ValueError("nobody foresaw this")

    monkeypatch.setattr(evidence, "_MainStream", Breaking)
    with closing(open_stream("main.mp4", Terms(0.3), detection_source="small.mp4")) as stream:
        next(stream.bursts(threading.Event()))
        wait_until(lambda: len(opened) == 2)
        assert stream.figures().evidence_error == "Capture failed unexpectedly; its log tells more."


def test_what_reading_has_cost_never_falls_when_the_main_stream_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ending(evidence._MainStream):
        def bursts(self, stop: threading.Event) -> Iterator[Burst]:
            yield next(super().bursts(stop))

    monkeypatch.setattr(evidence, "_MainStream", Ending)
    monkeypatch.setattr(streams, "back_off_seconds", lambda _failures, **_jitter: 0.05)
    with closing(open_stream("main.mp4", Terms(0.3), detection_source="small.mp4")) as stream:
        seen = [stream.figures().decoded for _burst in islice(stream.bursts(threading.Event()), 12)]
        assert seen == sorted(seen)
        main = stream._main.figures()  # type: ignore[attr-defined]  # the pair's own
        assert main.decoded >= 2


def test_main_stream_is_checked_before_anything_is_opened() -> None:
    with pytest.raises(UnableToOpen, match=r"is in a private network"):
        open_stream("rtsp://10.0.0.1/main", Terms(0.3), detection_source="small.mp4")


def test_street_has_one_stream() -> None:
    with pytest.raises(UnableToOpen, match=r"^A simulated street has one stream only\.$"):
        open_stream("street://junction", Terms(0.3), detection_source="small.mp4")


@pytest.mark.django_db(transaction=True)
def test_capture_keeps_evidence_beside_the_frame(redis_client: redis.Redis) -> None:
    store = FrameStore(redis_client)
    camera = running("gate", "main.mp4", detection_source="small.mp4")
    with capturing(store, interval=0.5) as seen:
        wait_until(lambda: any(ref.evidence_key for ref in seen.of(camera)))
        ref = next(ref for ref in reversed(seen.of(camera)) if ref.evidence_key)
        jpegs = [store.get(key) for key in (ref.frame_key, ref.evidence_key)]
        assert [read_picture(jpeg or b"").shape for jpeg in jpegs] == [(240, 320, 3), (480, 640, 3)]
        taken = store.take(camera.pk)
        assert taken
        store.forget(taken)
        assert [store.get(key) for key in taken.picture_keys] == [None] * len(taken.picture_keys)


@pytest.mark.django_db(transaction=True)
def test_operator_reads_why_there_is_no_evidence(videos: Path, redis_client: redis.Redis) -> None:
    (videos / "main.mp4").unlink()
    (videos / "main.mp4").write_bytes(b"this is no video" * 100)
    camera = running("gate", "main.mp4", detection_source="small.mp4")
    with capturing(FrameStore(redis_client)):
        wait_until(lambda: Camera.objects.get(pk=camera.pk).last_error != "")
        camera.refresh_from_db()
        assert (camera.state, camera.last_error) == (
            StreamState.ONLINE,
            "No evidence: What is there is not video in a form that is allowed.",
        )


@pytest.mark.django_db(transaction=True)
def test_capture_writes_what_reading_takes(redis_client: redis.Redis) -> None:
    camera = running("road", "small.mp4", sampling=Sampling.BURST)
    with capturing(FrameStore(redis_client), interval=1.0):
        wait_until(lambda: Camera.objects.get(pk=camera.pk).decoded_per_sample)
    camera.refresh_from_db()
    assert camera.decoded_per_sample
    assert 5 <= camera.decoded_per_sample <= 10
    assert camera.key_frame_seconds == pytest.approx(1.0, abs=0.2)
    assert camera.decode_load
    assert 0 < camera.decode_load < 1


def test_stretched_interval_is_followed_at_once() -> None:
    with closing(open_stream("small.mp4", Terms(0.2, Sampling.EVERY_FRAME))) as stream:
        bursts = stream.bursts(threading.Event())
        next(bursts)
        stream.change_interval(0.6)
        begun = [burst.captured_at for burst in islice(bursts, 3)]
        stream.change_interval(0.2)
        begun += [burst.captured_at for burst in islice(bursts, 2)]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(begun)]
    assert gaps == pytest.approx([0.6, 0.6, 0.2, 0.2], abs=0.19)


@pytest.mark.parametrize("device", ["vaapi", "cuda"])
def test_missing_decoding_device_is_said_once_and_the_processor_decodes(settings: Settings, device: str) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"hardware_decoding": device})
    _is_there.cache_clear()
    with structlog.testing.capture_logs() as said:
        for _time in range(2):
            with closing(open_stream("small.mp4", Terms(0.2))) as stream:
                assert next(stream.bursts(threading.Event())).pictures[0].shape == (240, 320, 3)
    if not _is_there(device):
        assert [each["event"] for each in said] == ["decoding.device_missing"]
