from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from detection.configuration import DetectionConfiguration, GroupingConfiguration, TrackingConfiguration
from detection.detect import (
    FramePipeline,
    PictureUnreadableError,
    Shot,
    choose_evenly,
    cut_jpeg,
    detect_frame,
    read_picture,
    read_shot,
)
from detection.detections import Detection
from detection.detector import Picture, warm_up
from detection.observing import CameraRules
from detection.tracks import TrackerState
from detection.zones import ZoneRule
from tests.fakes import OneByOne
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEFT_CAR = Detection(Box(10, 40, 50, 60), ObjectClass.CAR, 0.9)
LEFT_PERSON = Detection(Box(60, 30, 70, 60), ObjectClass.PERSON, 0.8)
RIGHT_CAR = Detection(Box(300, 40, 340, 60), ObjectClass.CAR, 0.7)
LIGHT = Detection(Box(55, 5, 60, 15), ObjectClass.TRAFFIC_LIGHT, 0.6)


@dataclass(frozen=True, slots=True)
class Frame:
    captured_at: datetime = NOON
    camera_id: int = 7
    frame_key: str = "7-1"
    burst: tuple[str, ...] = ()
    evidence_key: str = ""


class FakeDetector(OneByOne):
    """Finds the same every time, and remembers the pictures it was given."""

    model = "fake"

    def __init__(self, *found: Detection) -> None:
        self.found = found
        self.sizes: list[tuple[int, ...]] = []

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        self.sizes.append(picture.shape)
        return self.found


class DimmingDetector(OneByOne):
    """Finds one car as far to the right as the picture is bright."""

    model = "dimming"

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        x = float(picture[0, 0, 0])
        return (Detection(Box(x, 40, x + 40, 60), ObjectClass.CAR, 0.9),)


def street(width: int = 400, height: int = 100) -> Picture:
    return np.full((height, width, 3), 90, dtype=np.uint8)


ONE_SHOT = (Shot(street(), NOON),)


def pipeline(
    *found: Detection, tracking: TrackingConfiguration | None = None, groups: GroupingConfiguration | None = None
) -> FramePipeline:
    configuration = DetectionConfiguration(
        tracking=tracking or TrackingConfiguration(), post_processing=groups or GroupingConfiguration()
    )
    return FramePipeline(FakeDetector(*found), configuration)


def test_detected_frame_holds_what_was_found_and_where_it_came_from() -> None:
    detected, _ = detect_frame(ONE_SHOT, Frame(), pipeline=pipeline(LEFT_CAR, LEFT_PERSON, RIGHT_CAR, LIGHT))
    assert (detected.camera_id, detected.frame_key, detected.captured_at) == (7, "7-1", NOON)
    assert (detected.width, detected.height, detected.model) == (400, 100, "fake")
    assert detected.detections == (LEFT_CAR, LEFT_PERSON, RIGHT_CAR, LIGHT)
    assert [group.members for group in detected.groups] == [(0, 1)]
    assert detected.tracking_enabled
    assert detected.process_seconds > 0


def test_detected_frame_leaves_out_what_stands_in_an_ignored_zone() -> None:
    ignored = ZoneRule("left", "ignore", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    detected, _ = detect_frame(
        ONE_SHOT, Frame(), pipeline=pipeline(LEFT_CAR, LEFT_PERSON, RIGHT_CAR), rules=CameraRules((ignored,))
    )
    assert detected.detections == (RIGHT_CAR,)
    assert detected.groups == ()


def test_identities_appear_once_a_road_user_was_seen_often_enough() -> None:
    running = pipeline(LEFT_CAR, tracking=TrackingConfiguration(min_hits=2))
    state: TrackerState | None = None
    identities = []
    for number in range(3):
        frame = Frame(NOON + timedelta(seconds=0.1 * number))
        detected, state = detect_frame([Shot(street(), frame.captured_at)], frame, pipeline=running, tracks=state)
        identities.append(detected.detections[0].track_id)
    assert identities == [None, 1, 1]


def test_identities_are_confirmed_by_bursts_not_by_their_pictures() -> None:
    running = pipeline(LEFT_CAR, LIGHT, tracking=TrackingConfiguration(min_hits=2))
    state: TrackerState | None = None
    identities = []
    for number in range(3):
        moments = [NOON + timedelta(seconds=1.8 * number + offset) for offset in (-0.5, -0.25, 0)]
        shots = [Shot(street(), at) for at in moments]
        detected, state = detect_frame(shots, Frame(moments[-1]), pipeline=running, tracks=state)
        identities.append([each.track_id for each in detected.detections])
    assert identities == [[None, None], [1, None], [1, None]]
    assert state
    assert [(one.hits, one.frames) for one in state.tracks] == [(9, 3)]


def test_frame_is_what_the_last_picture_of_its_burst_shows() -> None:
    detector = DimmingDetector()
    shots = [Shot(street() // (number + 1), NOON + timedelta(seconds=number)) for number in range(3)]
    detected, _ = detect_frame(shots, Frame(), pipeline=FramePipeline(detector, DetectionConfiguration()))
    assert [each.box.x1 for each in detected.detections] == [30]


@pytest.mark.parametrize(
    ("count", "most", "chosen"),
    [(3, 1, (2,)), (3, 2, (0, 2)), (3, 3, (0, 1, 2)), (1, 3, (0,)), (0, 3, ()), (9, 3, (0, 4, 8))],
)
def test_pictures_to_detect_are_spread_evenly_and_end_with_the_last(
    count: int, most: int, chosen: tuple[int, ...]
) -> None:
    assert choose_evenly(count, most=most) == chosen


def test_switched_off_tracking_and_grouping_leave_plain_detections() -> None:
    running = pipeline(
        LEFT_CAR,
        LEFT_PERSON,
        tracking=TrackingConfiguration(enabled=False, min_hits=1),
        groups=GroupingConfiguration(enable_groups=False),
    )
    detected, state = detect_frame(ONE_SHOT, Frame(), pipeline=running)
    assert detected.detections == (LEFT_CAR, LEFT_PERSON)
    assert detected.groups == ()
    assert not detected.tracking_enabled
    assert state == TrackerState()


def test_crop_is_a_picture_of_its_group() -> None:
    picture = street()
    picture[:, 200:] = 200
    crop = read_picture(cut_jpeg(picture, Box(198.5, 8, 272.2, 72)))
    assert crop.shape == (64, 75, 3)
    assert abs(int(crop[30, 50, 0]) - 200) <= 2


@pytest.mark.parametrize("crop", [Box(400, 100, 400, 100), Box(0, 0, 0, 0), Box(399.5, 99.5, 400, 100)])
def test_crop_without_area_is_still_a_picture(crop: Box) -> None:
    assert read_picture(cut_jpeg(street(), crop)).shape == (1, 1, 3)


def test_crop_quality_decides_its_size() -> None:
    noisy = np.random.default_rng(1).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    whole = Box(0, 0, 80, 80)
    assert (
        len(cut_jpeg(noisy, whole, quality=30)) < len(cut_jpeg(noisy, whole)) < len(cut_jpeg(noisy, whole, quality=98))
    )


def test_picture_read_has_the_pixels_that_opencv_reads() -> None:
    noisy = np.random.default_rng(1).integers(0, 255, (81, 63, 3), dtype=np.uint8)
    _, encoded = cv2.imencode(".jpg", noisy)
    assert np.array_equal(read_picture(bytes(encoded)), np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)))


@pytest.mark.parametrize(("width", "decoded"), [(1280, (360, 640, 3)), (1000, (422, 750, 3)), (2600, (366, 650, 3))])
def test_shot_is_read_no_larger_than_the_detector_needs(width: int, decoded: tuple[int, ...]) -> None:
    picture = cv2.resize(street(), (width, round(width * 9 / 16)))
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    shot = read_shot(jpeg, NOON, least_width=640)
    assert (shot.picture.shape, shot.size) == (decoded, (width, round(width * 9 / 16)))


def test_detections_of_a_smaller_shot_are_in_pixels_of_the_frame() -> None:
    small = Shot(street()[::2, ::2], NOON, (street().shape[1], street().shape[0]))
    detector = FakeDetector(LEFT_CAR)
    frame, _state = detect_frame([small], Frame(), pipeline=FramePipeline(detector, DetectionConfiguration()))
    [found] = frame.detections
    assert found.box.as_tuple() == (20, 80, 100, 120)
    assert (frame.width, frame.height) == small.size


@pytest.mark.parametrize("content", [b"", b"not a picture", cut_jpeg(street(), Box(0, 0, 400, 100))[:-9]])
def test_picture_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(PictureUnreadableError, match=f"{len(content)} bytes"):
        read_picture(content)


def test_warm_up_runs_one_picture_of_the_size_asked_for() -> None:
    detector = FakeDetector()
    warm_up(detector, width=64, height=48)
    assert detector.sizes == [(48, 64, 3)]
