"""From the picture to the road, against places and speeds that are known."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from cameras.calibrations import check_calibration
from cameras.street import Street
from detection.calibration import Calibration, RoadMotion, closing_speed, move_on_road, speed_of
from detection.motion import Axis, Motion
from trafficmon.core.geometry import Point, corner_areas

CORNERS: tuple[Point, ...] = ((0.02, 0.98), (0.98, 0.98), (0.85, 0.4), (0.15, 0.4))
SEEN_FROM_ABOVE = Calibration(((0, 1), (1, 1), (1, 0), (0, 0)), ((0, 0), (40, 0), (40, 20), (0, 20)))
"""A picture of 40 by 20 metres of road without any perspective."""
MARKS: dict[str, list[Any]] = {
    "picture": [list(each) for each in CORNERS],
    "road": [[0, 0], [20, 0], [30, 60], [-10, 60]],
}


def moving(
    foot: Point, velocity: Point, *, deviation: float = 0.0, speed_deviation: float = 0.0, height: float = 40.0
) -> Motion:
    """A box whose foot is there (px) and moves so (px/s), and how unsure both are."""
    size = Axis(height, 0, 0, 0, 0)
    x, y = (
        Axis(position, speed, deviation**2, 0, speed_deviation**2)
        for position, speed in zip(foot, velocity, strict=True)
    )
    return Motion(x, replace(y, position=y.position - height / 2), size, size)


def on_road(
    motion: Motion, calibration: Calibration = SEEN_FROM_ABOVE, *, width: int = 400, height: int = 200
) -> RoadMotion:
    found = move_on_road(motion, calibration, width=width, height=height)
    assert found is not None
    return found


def test_metres_are_counted_off_where_there_is_no_perspective() -> None:
    motion = on_road(moving((100, 50), (30, -40), deviation=5, speed_deviation=7))
    assert motion.place.tolist() == pytest.approx([10, 15])
    assert motion.velocity.tolist() == pytest.approx([3, 4])
    speed = speed_of(motion)
    assert (speed.kmh, speed.deviation_kmh) == pytest.approx((18, 0.7 * 3.6))


def test_speeds_of_the_street_are_found_from_where_its_road_users_stand() -> None:
    street = Street("junction", seed=3)
    calibration = Calibration(CORNERS, tuple(street.on_ground(x * 1280, y * 720) for x, y in CORNERS))
    for x, y in ((500.0, 600.0), (700.0, 350.0), (300.0, 420.0)):
        east, north = street.on_ground(x, y)
        later = street.on_ground(x + 0.03, y + 0.01)
        motion = on_road(moving((x, y), (3, 1)), calibration, width=1280, height=720)
        assert motion.place.tolist() == pytest.approx([east, north], abs=1e-6)
        assert speed_of(motion).kmh == pytest.approx(math.dist((east, north), later) * 100 * 3.6, rel=1e-3)


@pytest.mark.parametrize("foot", [(-5.0, 50.0), (100.0, 205.0)])
def test_beyond_the_marked_places_nothing_is_known(foot: Point) -> None:
    assert move_on_road(moving(foot, (1, 1)), SEEN_FROM_ABOVE, width=400, height=200) is None


def test_what_is_far_away_is_less_sure() -> None:
    calibration = Calibration(CORNERS, ((0, 0), (20, 0), (30, 60), (-10, 60)))
    near, far = (
        speed_of(on_road(moving((640, y), (20, 0), speed_deviation=5), calibration, width=1280, height=720))
        for y in (680, 320)
    )
    assert 0 < near.deviation_kmh < far.deviation_kmh


def test_deviation_is_that_of_many_motions_drawn_at_random() -> None:
    calibration = Calibration(CORNERS, ((0, 0), (20, 0), (30, 60), (-10, 60)))
    told = speed_of(
        on_road(moving((640, 400), (60, 30), deviation=1, speed_deviation=4), calibration, width=1280, height=720)
    )
    drawn = np.random.default_rng(1).normal(0, 1, (2000, 4)) * (1, 1, 4, 4) + (640, 400, 60, 30)
    speeds = [
        speed_of(on_road(moving((x, y), (right, down)), calibration, width=1280, height=720)).kmh
        for x, y, right, down in drawn.tolist()
    ]
    assert told.deviation_kmh == pytest.approx(float(np.std(speeds)), rel=0.1)


def test_closing_speed_is_that_of_the_distance() -> None:
    one, other = on_road(moving((100, 100), (50, 0))), on_road(moving((300, 100), (-30, 0), speed_deviation=10))
    towards = closing_speed(one, other)
    assert (towards.kmh, towards.deviation_kmh) == pytest.approx((8 * 3.6, 3.6))
    beside = on_road(moving((100, 150), (50, 0)))
    assert closing_speed(one, beside).kmh == pytest.approx(0)
    apart = on_road(moving((300, 100), (90, 0)))
    assert closing_speed(one, apart).kmh == pytest.approx(-4 * 3.6)


@given(st.floats(0, 40), st.floats(0, 20), st.floats(-30, 30), st.floats(-30, 30))
def test_closing_speed_is_the_same_from_both_sides(x: float, y: float, east: float, north: float) -> None:
    one = on_road(moving((200.5, 100.5), (20, 10)))
    other = on_road(moving((min(10 * x + 0.1, 399), min(10 * y + 0.1, 199)), (10 * east, 10 * north)))
    assert closing_speed(one, other).kmh == pytest.approx(closing_speed(other, one).kmh)


def test_sound_calibration_passes() -> None:
    check_calibration(MARKS)
    check_calibration({**MARKS, "road": MARKS["road"][::-1]})


def changed(side: str, place: int, value: object) -> dict[str, object]:
    marks = copy.deepcopy(MARKS)
    marks[side][place] = value
    return dict(marks)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "Give four places"),
        ({"picture": MARKS["picture"]}, "Give four places"),
        ({**MARKS, "unit": "feet"}, "Give four places"),
        ({**MARKS, "road": MARKS["road"][:3]}, "Give four places"),
        (changed("road", 0, [0]), "Give four places"),
        (changed("road", 0, [True, 0]), "Give four places"),
        (changed("road", 0, json.loads("[NaN, 0]")), "Give four places"),
        (changed("picture", 0, ["0.1", 0.9]), "Give four places"),
        (changed("picture", 0, [1.2, 0.98]), "Places in the picture are shares"),
        (changed("road", 0, [521_000, 3_400_000]), "Places on the road are metres"),
        (changed("road", 1, [15, 30]), "On the road three of the places"),
        (changed("picture", 1, [0.02, 0.98]), "In the picture three of the places"),
        (changed("road", 1, [5, 40]), "On the road the places make no convex figure"),
        ({**MARKS, "road": [MARKS["road"][at] for at in (0, 2, 1, 3)]}, "On the road the places make no convex figure"),
    ],
)
def test_unsound_calibration_is_refused_with_a_reason(value: object, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_calibration(value)
    assert caught.value.messages[0].startswith(reason)


def test_corner_areas_have_one_sign_where_a_figure_is_convex() -> None:
    assert corner_areas([(0, 0), (4, 0), (4, 2), (0, 2)]) == [4, 4, 4, 4]
    assert corner_areas([(0, 0), (4, 2), (4, 0), (0, 2)]) == [4, -4, -4, 4]
