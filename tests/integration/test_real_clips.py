"""Real roads with real weights, against what a far larger detector saw."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from detection import speed
from detection.backends import load_detector
from detection.benchmark import main, measure_recall, read_clip, read_reference
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detect import FramePipeline, Shot, detect_frame
from detection.detections import DetectedFrame
from detection.tracks import TrackerState
from tests.real_data import JUNCTION, JUNCTION_REFERENCE, OVERHEAD, WEIGHTS, needed
from trafficmon.core.objects import ObjectClass

pytestmark = pytest.mark.real_data


@dataclass(frozen=True, slots=True)
class Frame:
    captured_at: datetime
    frame_key: str
    camera_id: int = 1
    burst: tuple[str, ...] = ()
    evidence_key: str = ""


def detected_frames(clip: Path, *, fps: float, every: int = 1) -> list[DetectedFrame]:
    """The whole way of every so many frames of a clip, with the configuration everyone starts with."""
    configuration = DetectionConfiguration(model=ModelConfiguration(name=str(needed(WEIGHTS))))
    pipeline = FramePipeline(load_detector(configuration, weights_dir=Path("weights")), configuration)
    state: TrackerState | None = None
    frames = []
    for number, picture in enumerate(read_clip(needed(clip))):
        if number % every == 0:
            frame = Frame(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number / fps), str(number))
            detected, state = detect_frame([Shot(picture, frame.captured_at)], frame, pipeline=pipeline, tracks=state)
            frames.append(detected)
    return frames


def test_sure_cars_of_the_reference_are_found_in_nearly_every_frame() -> None:
    frames = detected_frames(JUNCTION, fps=20)
    recall = measure_recall([each.detections for each in frames], read_reference(needed(JUNCTION_REFERENCE)))
    assert recall.frames == 60
    assert recall.share_all_found >= 0.95
    assert recall.mean_overlap >= 0.8


def test_cars_keep_their_identity_through_the_junction() -> None:
    frames = detected_frames(JUNCTION, fps=20)
    seen = Counter(
        each.track_id
        for frame in frames
        for each in frame.detections
        if each.object_class is ObjectClass.CAR and each.track_id is not None
    )
    assert [count >= 50 for _, count in seen.most_common(2)] == [True, True]
    assert len(seen) <= 5


def test_moving_cars_get_no_identity_where_frames_are_sparse() -> None:
    frames = detected_frames(OVERHEAD, fps=24, every=43)
    named = [each for frame in frames for each in frame.detections if each.track_id is not None]
    assert sum(len(frame.detections) for frame in frames) >= 20
    assert named == []


def test_groups_of_the_junction_hold_road_users_within_the_picture() -> None:
    groups = [(frame, group) for frame in detected_frames(JUNCTION, fps=20, every=10) for group in frame.groups]
    assert len(groups) >= 6
    for frame, group in groups:
        assert 0 <= group.crop.x1 < group.crop.x2 <= frame.width
        assert 0 <= group.crop.y1 < group.crop.y2 <= frame.height


def test_benchmark_prints_its_figures_as_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    clip, reference, weights = needed(JUNCTION), needed(JUNCTION_REFERENCE), needed(WEIGHTS)
    assert main(["--clip", str(clip), "--reference", str(reference), "--weights", str(weights)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["clip"] == "junction-cars-cyclist.mp4"
    assert figures["recall"]["cars"] == 122


def test_benchmark_compares_speeds_of_the_same_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "ROUNDS", 1)
    monkeypatch.setattr(speed, "FRAMES_A_ROUND", 4)
    pytest.importorskip("ultralytics", reason="requirements/detection.txt is not installed")
    clip, weights = needed(OVERHEAD), needed(WEIGHTS)
    assert main(["--clip", str(clip), "--weights", str(weights), "--size", "1280x720", "--speed"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    fps = {name: each["frames_per_second"] for name, each in figures["speed"].items()}
    assert list(fps) == [
        *("openvino, 1 caller", "openvino, 2 callers", "openvino, 4 callers"),
        *("ultralytics, 1 caller", "ultralytics, batches of 8"),
    ]
    fastest = max(count for name, count in fps.items() if name.startswith("openvino"))
    assert figures["ratio"] == round(fastest / fps["ultralytics, 1 caller"], 2)
