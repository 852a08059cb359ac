"""The tests' own RTSP server: what load is measured with has to be what cameras send."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.clips import write_clip
from tests.load.streams import RtspFarm, StreetClip, UnfitLoop, generate_clip
from tests.rtsp_camera import needs_rtsp_server

pytestmark = [
    pytest.mark.integration,
    needs_rtsp_server,
]

CLIP_SECONDS, READ_SECONDS = 4, 7.0


def read_packets(url: str, seconds: float) -> list[tuple[int, bool, float]]:
    """Of each picture after the first its presentation time in 1/90000 s, if it is a key frame, and when it came."""
    packets = []
    with av.open(url, options={"rtsp_transport": "tcp"}, timeout=10) as container:
        video = container.streams.video[0]
        began = time.monotonic()
        for packet in container.demux(video):
            if packet.pts is not None:
                packets.append((packet.pts, packet.is_keyframe, time.monotonic()))
            if time.monotonic() - began > seconds:
                break
    return packets


def test_farm_sends_at_the_true_pace_without_a_seam_where_a_clip_begins_anew(tmp_path: Path) -> None:
    clips = [write_clip(tmp_path / "a.mp4"), write_clip(tmp_path / "b.mkv", codec="h265", gop=50)]
    read: dict[str, list[tuple[int, bool, float]]] = {}
    with RtspFarm(4, clips) as farm:
        threads = [
            threading.Thread(target=lambda url=url: read.update({url: read_packets(url, READ_SECONDS)}))
            for url in farm.urls
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for url, gop_seconds in zip(farm.urls, (1, 2, 1, 2), strict=True):
        packets = read[url]
        assert packets[-1][0] - packets[0][0] > CLIP_SECONDS * 90_000
        assert {later[0] - earlier[0] for earlier, later in pairwise(packets)} == {3600}
        keys = [pts for pts, is_key, _came in packets if is_key]
        assert {later - earlier for earlier, later in pairwise(keys)} == {gop_seconds * 90_000}
        last_seconds = [packet for packet in packets if packet[2] > packets[-1][2] - 4]
        assert len(last_seconds) / 4 == pytest.approx(25, abs=3)


def test_clip_of_a_street_is_what_a_camera_sends_and_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.load.streams.SHORTEST_SECONDS", 2.0)
    clip = StreetClip("junction", 9001, gop_seconds=0.4, seconds=2.0)
    path = generate_clip(tmp_path, clip)
    written_at = path.stat().st_mtime_ns
    assert generate_clip(tmp_path, clip).stat().st_mtime_ns == written_at
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        video = container.streams.video[0]
        assert (video.width, video.height, video.codec_context.has_b_frames) == (1280, 720, False)
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [0, 10, 20, 30, 40]
    assert 1e6 < path.stat().st_size * 8 / 2.0 < 3e6


@pytest.mark.parametrize("seconds", [19.0, 20.5])
def test_clip_that_makes_no_clean_loop_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(UnfitLoop):
        generate_clip(tmp_path, StreetClip("junction", 9001, seconds=seconds))
