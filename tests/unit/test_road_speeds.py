"""Which speeds are shown: those that are known, and no absurd ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.calibration import Calibration
from detection.configuration import TrackingConfiguration
from detection.detections import Detection, TrafficGroup
from detection.road_speeds import FASTEST_KMH, find_motions, with_closing_speeds, with_speeds
from detection.tracking import track
from detection.tracks import Family, TrackerState
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WIDTH, HEIGHT = 1000, 500
ROAD = Calibration(((0, 1), (1, 1), (1, 0), (0, 0)), ((0, 0), (50, 0), (50, 25), (0, 25)))
"""20 px are a metre."""
BURST = (0.0, 0.25, 0.5)


def car(x: float, y: float = 200, kind: ObjectClass = ObjectClass.CAR) -> Detection:
    """4 by 1.5 metres, 80 x 30 px."""
    return Detection(Box(x, y, x + 80, y + 30), kind, 0.9)


def follow(frames: list[tuple[float, list[Detection]]]) -> tuple[TrackerState, tuple[Detection, ...]]:
    state, named = TrackerState(), tuple[Detection, ...]()
    for seconds, detections in frames:
        at = NOON + timedelta(seconds=seconds)
        state, named = track(state, detections, at=at, configuration=TrackingConfiguration())
    return state, named


def shown(
    frames: list[tuple[float, list[Detection]]], calibration: Calibration | None = ROAD
) -> list[tuple[float | None, float | None]]:
    state, named = follow(frames)
    motions = find_motions(state, named, calibration, width=WIDTH, height=HEIGHT)
    return [(each.speed_kmh, each.speed_deviation_kmh) for each in with_speeds(named, motions)]


def driving(metres_per_second: float, moments: tuple[float, ...] = BURST) -> list[tuple[float, list[Detection]]]:
    return [(at, [car(300 + 20 * metres_per_second * at)]) for at in moments]


def test_speed_is_known_after_a_burst() -> None:
    [(kmh, deviation)] = shown(driving(8))
    assert kmh == pytest.approx(8 * 3.6, abs=1.5)
    assert deviation is not None
    assert 0 < deviation < 6


def test_what_stands_is_seen_to_stand() -> None:
    [(kmh, deviation)] = shown(driving(0, (0, 0.1, 0.2, 0.3, 0.4, 0.5)))
    assert kmh == pytest.approx(0, abs=0.5)
    assert deviation is not None
    assert deviation < 4


@pytest.mark.parametrize(
    ("frames", "calibration"),
    [
        (driving(8), None),
        (driving(8)[:1], ROAD),
        (driving(0, (0, 1.8, 3.6)), ROAD),
        ([(at, [car(0.0 + 160 * at)]) for at in (0.0,)], ROAD),
        ([(at, [car(839 + 160 * at)]) for at in (0.0, 0.25, 0.5)], ROAD),
    ],
    ids=["not calibrated", "seen once", "too rarely seen", "cut off, seen once", "cut off by the picture's edge"],
)
def test_speed_that_is_not_known_is_not_shown(
    frames: list[tuple[float, list[Detection]]], calibration: Calibration | None
) -> None:
    assert shown(frames, calibration) == [(None, None)]


def test_no_absurd_speed_is_shown_even_of_a_wrong_calibration() -> None:
    feet_for_metres = replace(ROAD, road=tuple((30 * x, 30 * y) for x, y in ROAD.road))
    assert shown(driving(8), feet_for_metres) == [(None, None)]


@given(
    st.lists(st.lists(st.tuples(st.floats(0, 900), st.floats(0, 460)), max_size=5), min_size=2, max_size=6),
    st.sampled_from([0.04, 0.1, 0.25, 0.5]),
)
def test_shown_speeds_are_those_that_somebody_can_have(places: list[list[tuple[float, float]]], gap: float) -> None:
    frames = [(gap * n, [car(x, y) for x, y in of_frame]) for n, of_frame in enumerate(places)]
    for kmh, deviation in shown(frames):
        assert (kmh is None) == (deviation is None)
        if kmh is not None and deviation is not None:
            assert 0 <= kmh <= FASTEST_KMH[Family.FOUR_WHEELER]
            assert 0 < deviation <= max(0.25 * kmh, 4)


def closing(*paths: float) -> tuple[float | None, float | None]:
    """Of a group of cars 30 metres apart, each so fast (m/s)."""
    moments = tuple(0.1 * n for n in range(8))
    frames = [(at, [car(200 + 600 * place + 20 * speed * at) for place, speed in enumerate(paths)]) for at in moments]
    state, named = follow(frames)
    motions = find_motions(state, named, ROAD, width=WIDTH, height=HEIGHT)
    box = Box(0, 0, WIDTH, HEIGHT)
    group = TrafficGroup(1, tuple(range(len(paths))), box, box, 0.9, (ObjectClass.CAR,))
    [told] = with_closing_speeds([group], motions)
    return told.closing_speed_kmh, told.closing_speed_deviation_kmh


def test_closing_speed_of_a_group_is_told_where_two_surely_approach() -> None:
    kmh, deviation = closing(8, -4)
    assert kmh == pytest.approx(12 * 3.6, abs=3)
    assert deviation is not None
    assert 0 < deviation < 11


@pytest.mark.parametrize("paths", [(0, 0), (-6, 6), (8,)], ids=["standing", "moving apart", "alone"])
def test_no_closing_speed_is_told_where_nobody_surely_approaches(paths: tuple[float, ...]) -> None:
    assert closing(*paths) == (None, None)
