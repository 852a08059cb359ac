from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import cv2
import numpy as np
import pytest

from detection.camera_motion import estimate_shift, view_of
from detection.configuration import DetectionConfiguration, TrackingConfiguration
from detection.detect import FramePipeline, Shot, detect_frame
from detection.detections import Detection
from detection.detector import Picture
from detection.tracks import TrackerState, tracks_from_bytes
from tests.fakes import OneByOne
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def panorama() -> Picture:
    """1600 x 720 of blurred blocks, of which a camera sees 1280."""
    blocks = np.random.default_rng(7).integers(0, 255, (18, 40, 3), dtype=np.uint8)
    large = cv2.resize(blocks, (1600, 720), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(large, (9, 9), 0), dtype=np.uint8)


def seen_from(left: int) -> Picture:
    return np.ascontiguousarray(panorama()[:, left : left + 1280])


@pytest.mark.parametrize("pan", [0, 12, 40, -24])
def test_shift_is_how_far_the_camera_panned(pan: int) -> None:
    shift = estimate_shift(view_of(seen_from(100)), view_of(seen_from(100 + pan)), width=1280)
    assert shift is not None
    assert shift.x == pytest.approx(-pan, abs=2)
    assert shift.y == pytest.approx(0, abs=2)
    assert shift.scale == pytest.approx(1, abs=0.01)


def test_shift_sees_a_zoom() -> None:
    near = cv2.resize(seen_from(0)[36:684, 64:1216], (1280, 720), interpolation=cv2.INTER_LINEAR)
    shift = estimate_shift(view_of(seen_from(0)), view_of(np.asarray(near, dtype=np.uint8)), width=1280)
    assert shift is not None
    assert shift.scale == pytest.approx(1280 / 1152, abs=0.01)
    assert 640 * shift.scale + shift.x == pytest.approx(640, abs=4)


def test_shift_cannot_be_told_without_texture_or_between_sizes() -> None:
    plain = np.full((720, 1280, 3), 90, dtype=np.uint8)
    assert estimate_shift(view_of(plain), view_of(plain), width=1280) is None
    assert estimate_shift(view_of(seen_from(0)), view_of(seen_from(0)[:500]), width=1280) is None


@dataclass(frozen=True, slots=True)
class Frame:
    captured_at: datetime
    camera_id: int = 1
    frame_key: str = "key"
    burst: tuple[str, ...] = ()
    evidence_key: str = ""


class PanningDetector(OneByOne):
    """Finds one parked car, at 700 px of the panorama, wherever the camera looks."""

    model = "panning"

    def __init__(self) -> None:
        self.left = 0

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        return (Detection(Box(700 - self.left, 300, 760 - self.left, 330), ObjectClass.CAR, 0.9),)


def identities_while_panning(tracker: Literal["bytetrack", "botsort"]) -> list[int | None]:
    detector = PanningDetector()
    tracking = TrackingConfiguration(tracker=tracker, min_hits=1)
    pipeline = FramePipeline(detector, DetectionConfiguration(tracking=tracking))
    state = TrackerState()
    identities = []
    for number, left in enumerate((0, 0, 0, 50, 100, 150)):
        detector.left = left
        frame = Frame(NOON + timedelta(seconds=0.2 * number))
        shot = Shot(seen_from(left), frame.captured_at)
        detected, state = detect_frame([shot], frame, pipeline=pipeline, tracks=tracks_from_bytes(state.to_bytes()))
        identities.append(detected.detections[0].track_id)
    return identities


def test_botsort_keeps_the_identity_of_a_parked_car_while_the_camera_pans() -> None:
    assert identities_while_panning("botsort") == [1] * 6


def test_bytetrack_takes_the_camera_for_still() -> None:
    assert identities_while_panning("bytetrack")[:4] == [1, 1, 1, 2]
