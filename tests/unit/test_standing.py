"""What stands still, what is parked, and what goes against its lane."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.detections import ZoneKind
from detection.motion import Motion, first_motion
from detection.standing import Stand, goes_against, is_parked, stand_after
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ROAD_USERS, VEHICLES, ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACE = Box(100, 100, 180, 140)
"""80 x 40 px."""


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seen", "stands"),
    [
        (PLACE, True),
        (Box(103, 98, 184, 141), True),
        (Box(100, 100, 130, 140), True),
        (Box(100, 100, 180, 115), True),
        (Box(140, 100, 220, 140), False),
        (Box(100, 130, 180, 170), False),
        (Box(100, 80, 240, 160), False),
        (Box(500, 500, 580, 540), False),
    ],
    ids=["same", "jitter", "side hidden", "bottom hidden", "half a length on", "nearer", "far larger", "elsewhere"],
)
def test_stand_goes_on_where_what_is_seen_lies_in_its_place(seen: Box, stands: bool) -> None:
    stand = Stand(PLACE, NOON)
    assert stand_after(stand, seen, at=after(5)) == (stand if stands else Stand(seen, after(5)))


def test_creeping_forward_in_a_queue_is_no_standing() -> None:
    stand = None
    for second in range(60):
        box = Box(100 + 5 * second, 100, 180 + 5 * second, 140)
        stand = stand_after(stand, box, at=after(second))
    assert stand is not None
    assert stand.since > after(50)


boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), *[st.integers(0, 500)] * 2, *[st.integers(8, 200)] * 2)


@given(boxes, boxes, st.integers(-500, 500), st.integers(-500, 500))
def test_standing_does_not_depend_on_where_in_the_picture(place: Box, seen: Box, x: int, y: int) -> None:
    def moved(box: Box) -> Box:
        return Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)

    here = stand_after(Stand(place, NOON), seen, at=after(1))
    there = stand_after(Stand(moved(place), NOON), moved(seen), at=after(1))
    assert there == Stand(moved(here.place), here.since)


@pytest.mark.parametrize(
    ("kinds", "seconds", "parked"),
    [
        ((), 59.9, False),
        ((), 60, True),
        (("parking",), 9.9, False),
        (("parking",), 10, True),
        (("emergency_lane",), 6000, False),
        (("lane",), 6000, False),
        (("crossing",), 6000, False),
        (("parking", "lane"), 6000, False),
    ],
)
def test_vehicle_is_parked_after_its_time_but_never_where_a_stop_matters(
    kinds: tuple[ZoneKind, ...], seconds: float, parked: bool
) -> None:
    found = is_parked(Stand(PLACE, NOON), ObjectClass.CAR, kinds, at=after(seconds), after_seconds=60)
    assert found == parked


def test_parking_zone_never_asks_for_longer_than_elsewhere() -> None:
    assert is_parked(Stand(PLACE, NOON), ObjectClass.CAR, ["parking"], at=after(5), after_seconds=5)


@pytest.mark.parametrize("object_class", ObjectClass)
def test_only_vehicles_are_ever_parked(object_class: ObjectClass) -> None:
    found = is_parked(Stand(PLACE, NOON), object_class, (), at=after(6000), after_seconds=60)
    assert found == (object_class in VEHICLES)
    assert object_class in ROAD_USERS or not found


def motion(x_px: float, y_px: float, *, sightings: int = 10) -> Motion:
    """Of a 40 px high box seen ten times a second, moving so many pixels a second."""
    found = first_motion(PLACE)
    for number in range(1, sightings):
        dx, dy = x_px * number / 10, y_px * number / 10
        found = found.after(0.1).given(Box(PLACE.x1 + dx, PLACE.y1 + dy, PLACE.x2 + dx, PLACE.y2 + dy))
    return found


@pytest.mark.parametrize(
    ("going", "direction", "against"),
    [
        ((-200, 0), 0, True),
        ((200, 0), 0, False),
        ((0, -200), 90, True),
        ((0, 200), 90, False),
        ((0, -200), 0, False),
        ((-80, -180), 0, False),
        ((-180, -100), 0, True),
        ((-10, 0), 0, False),
        ((0, 0), 0, False),
    ],
    ids=["against", "with", "up", "down", "across", "turning", "slanting", "creeping back", "standing"],
)
def test_against_the_lane_is_who_surely_moves_so(going: tuple[float, float], direction: float, against: bool) -> None:
    assert goes_against(motion(*going), direction) == against


def test_against_the_lane_is_nobody_before_it_is_sure() -> None:
    assert goes_against(motion(-200, 0, sightings=1), 0) is False
    assert [goes_against(motion(-60, 0, sightings=count), 0) for count in (2, 10)] == [False, True]


@given(st.integers(-300, 300), st.integers(-300, 300), st.integers(0, 359))
def test_nobody_goes_against_a_lane_and_against_its_opposite(x_px: int, y_px: int, direction: int) -> None:
    moving = motion(x_px, y_px)
    assert not (goes_against(moving, direction) and goes_against(moving, direction + 180))
