from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.detections import Detection, ZoneKind
from detection.zones import ZoneEntry, ZoneRule, entries_after, keep_watched, zones_under
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
LOWER_LEFT = ((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))
CAR_LEFT = Detection(Box(10, 40, 30, 60), ObjectClass.CAR, 0.9)
CAR_RIGHT = Detection(Box(110, 40, 130, 60), ObjectClass.CAR, 0.9)
PERSON_LEFT = Detection(Box(40, 20, 50, 45), ObjectClass.PERSON, 0.9)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVERYONE = (CAR_LEFT, CAR_RIGHT, PERSON_LEFT)


def zone(kind: ZoneKind, polygon: tuple[tuple[float, float], ...], *classes: ObjectClass) -> ZoneRule:
    return ZoneRule(f"{kind} zone", kind, polygon, frozenset(classes))


def watched(*rules: ZoneRule) -> tuple[Detection, ...]:
    return keep_watched(EVERYONE, rules, width=200, height=100)


def test_without_zones_everything_is_watched() -> None:
    assert watched() == EVERYONE


def test_ignore_zone_drops_what_stands_in_it() -> None:
    assert watched(zone("ignore", LEFT)) == (CAR_RIGHT,)


def test_include_zone_drops_what_stands_outside() -> None:
    assert watched(zone("include", LEFT)) == (CAR_LEFT, PERSON_LEFT)


def test_two_include_zones_watch_either() -> None:
    right = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))
    assert watched(zone("include", LEFT), zone("include", right)) == EVERYONE


def test_ignore_wins_over_include() -> None:
    assert watched(zone("include", LEFT), zone("ignore", LOWER_LEFT)) == (PERSON_LEFT,)


def test_ignore_zone_for_people_leaves_cars() -> None:
    assert watched(zone("ignore", LEFT, ObjectClass.PERSON)) == (CAR_LEFT, CAR_RIGHT)


def test_include_zone_for_people_does_not_limit_cars() -> None:
    assert watched(zone("include", LOWER_LEFT, ObjectClass.PERSON)) == (CAR_LEFT, CAR_RIGHT)


def test_foot_decides_and_not_the_rest_of_the_box() -> None:
    tall = Detection(Box(10, 0, 30, 51), ObjectClass.BUS, 0.9)
    assert keep_watched([tall], [zone("ignore", LOWER_LEFT)], width=200, height=100) == ()


@pytest.mark.parametrize("kind", ["lane", "crossing", "emergency_lane", "parking"])
def test_other_zones_hide_nothing(kind: ZoneKind) -> None:
    assert watched(zone(kind, LEFT)) == EVERYONE


def test_road_user_cut_off_by_the_lower_edge_stands_in_a_zone_drawn_to_it() -> None:
    cut_off = Detection(Box(10, 60, 30, 100), ObjectClass.CAR, 0.9)
    assert zones_under(cut_off, [zone("parking", LEFT)], width=200, height=100) == (zone("parking", LEFT),)


def test_zones_under_a_road_user_are_those_that_concern_it() -> None:
    crossing, lane = zone("crossing", LEFT, ObjectClass.PERSON), zone("lane", LEFT)
    assert zones_under(CAR_LEFT, [crossing, lane], width=200, height=100) == (lane,)
    assert zones_under(PERSON_LEFT, [crossing, lane], width=200, height=100) == (crossing, lane)
    assert zones_under(CAR_RIGHT, [crossing, lane], width=200, height=100) == ()


def test_stay_in_a_zone_begins_goes_on_and_ends() -> None:
    rules, later = [zone("lane", LEFT)], NOON + timedelta(seconds=3)
    entered = entries_after((), CAR_LEFT.box, rules, at=NOON, size=(200, 100))
    assert entered == (ZoneEntry("lane zone", NOON),)
    assert entries_after(entered, CAR_LEFT.box, rules, at=later, size=(200, 100)) == entered
    assert entries_after(entered, CAR_RIGHT.box, rules, at=later, size=(200, 100)) == ()
    assert entries_after(entered, CAR_LEFT.box, [], at=later, size=(200, 100)) == ()


@pytest.mark.parametrize(("x", "inside"), [(99, True), (101, True), (102, True), (103, False)])
def test_foot_within_its_jitter_of_the_edge_has_not_left(x: float, inside: bool) -> None:
    entered, rules = (ZoneEntry("lane zone", NOON),), [zone("lane", LEFT)]
    box = Box(x - 10, 40, x + 10, 60)
    assert entries_after(entered, box, rules, at=NOON, size=(200, 100)) == (entered if inside else ())
    assert bool(entries_after((), box, rules, at=NOON, size=(200, 100))) == (x < 100)


@given(st.integers(1, 8), st.floats(0, 200), st.floats(0, 100))
def test_zones_keep_their_place_at_any_resolution(factor: int, x: float, y: float) -> None:
    rule = zone("ignore", ((0.1, 0.2), (0.8, 0.3), (0.4, 0.9)))
    small = Detection(Box(x, y, x, y), ObjectClass.CAR, 0.9)
    large = Detection(Box(x * factor, y * factor, x * factor, y * factor), ObjectClass.CAR, 0.9)
    assert len(keep_watched([small], [rule], width=200, height=100)) == len(
        keep_watched([large], [rule], width=200 * factor, height=100 * factor)
    )
