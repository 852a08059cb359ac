"""Who crosses a counting line, and which way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.counting import LineRule, Passage, pass_line, signed_distance
from detection.detections import Direction
from trafficmon.core.geometry import Point

UPWARDS = (500, 900), (500, 100)
"""An arrow that points up: its left is the picture's left."""
CLEAR = 10.0
FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD


def crossings(way: Sequence[Point], line: tuple[Point, Point] = UPWARDS) -> list[Direction]:
    """How who is seen at the points of `way`, one after the other, crosses `line`."""
    passage, found = Passage(1), []
    for step in [(way[0], way[0]), *pairwise(way)]:
        passage, direction = pass_line(passage, line, step, clear_px=CLEAR)
        found += [direction] if direction else []
    return found


@pytest.mark.parametrize(
    ("way", "counted"),
    [
        ([(400, 500), (600, 500)], [FORWARD]),
        ([(600, 500), (400, 500)], [BACKWARD]),
        ([(400, 500), (495, 500), (505, 500), (600, 500)], [FORWARD]),
        ([(400, 500), (600, 500), (400, 500)], [FORWARD, BACKWARD]),
        ([(400, 500), (600, 500), (400, 500), (600, 500)], [FORWARD, BACKWARD, FORWARD]),
        ([(400, 500), (500, 500), (600, 500)], [FORWARD]),
    ],
)
def test_crossing_is_counted_the_way_it_went(way: list[Point], counted: list[Direction]) -> None:
    assert crossings(way) == counted


@pytest.mark.parametrize(
    "way",
    [
        [(400, 500), (495, 500), (505, 500), (495, 500), (400, 500)],
        [(400, 950), (600, 950)],
        [(400, 50), (600, 50)],
        [(400, 500), (400, 50), (600, 50), (600, 500)],
        [(495, 500), (600, 500)],
        [(500, 500), (600, 500)],
        [(400, 500)],
    ],
    ids=["turned back", "below its end", "above its end", "around its end", "first seen on it", "on it", "seen once"],
)
def test_who_did_not_clearly_come_across_is_not_counted(way: list[Point]) -> None:
    assert crossings(way) == []


def test_who_returned_around_the_end_is_not_counted_the_same_way_again() -> None:
    around = [(600, 500), (600, 50), (400, 50), (400, 500)]
    assert crossings([(400, 500), *around, (600, 500)]) == [FORWARD]


def test_line_that_was_moved_across_a_road_user_counts_nobody() -> None:
    passage, _ = pass_line(Passage(1), UPWARDS, ((400, 500), (400, 500)), clear_px=CLEAR)
    moved = (300, 900), (300, 100)
    assert pass_line(passage, moved, ((400, 500), (402, 500)), clear_px=CLEAR)[1] is None


def test_side_of_a_line_is_told_along_its_arrow() -> None:
    assert signed_distance((530, 500), UPWARDS) == 30
    assert signed_distance((470, 0), UPWARDS) == -30
    assert signed_distance((470, 0), ((5, 5), (5, 5))) == 0


def test_line_keeps_its_place_at_any_resolution_and_its_classes() -> None:
    rule = LineRule(1, "gate", (0.25, 0.5), (0.75, 1.0))
    assert rule.in_pixels((1280, 720)) == ((320, 360), (960, 720))


points = st.tuples(st.integers(300, 700), st.integers(0, 1000))
ways = st.lists(points, min_size=1, max_size=20)
shifts = st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000))


def moved(way: Sequence[Point], by: Point) -> list[Point]:
    return [(x + by[0], y + by[1]) for x, y in way]


@given(ways, shifts)
def test_counting_does_not_depend_on_where_in_the_picture_the_line_is(way: list[Point], by: Point) -> None:
    start, end = moved(UPWARDS, by)
    assert crossings(moved(way, by), (start, end)) == crossings(way)


@given(ways)
def test_directions_flip_with_the_arrow(way: list[Point]) -> None:
    other = {FORWARD: BACKWARD, BACKWARD: FORWARD}
    # A foot exactly on the line belongs to one of its sides; half a pixel off, to the same one for both arrows.
    off_the_line = moved(way, (0.5, 0))
    assert crossings(off_the_line, UPWARDS[::-1]) == [other[each] for each in crossings(off_the_line)]


@given(ways)
def test_nobody_counts_twice_the_same_way_without_the_other_between(way: list[Point]) -> None:
    found = crossings(way)
    assert all(earlier != later for earlier, later in pairwise(found))


@given(st.lists(st.tuples(st.integers(300, 490), st.integers(0, 1000)), min_size=1, max_size=20))
def test_who_stays_on_one_side_is_never_counted(way: list[Point]) -> None:
    assert crossings(way) == []
    assert crossings([(1000 - x, y) for x, y in way]) == []


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=50), st.booleans())
def test_jitter_on_the_line_counts_who_crosses_once(jitter: list[int], crosses: bool) -> None:
    waiting = [(500 + each, 500) for each in jitter]
    end = (600, 500) if crosses else (400, 500)
    assert crossings([(400, 500), *waiting, end]) == ([FORWARD] if crosses else [])


@given(ways, ways)
def test_count_is_that_of_a_way_cut_in_two_and_carried_on(first: list[Point], second: list[Point]) -> None:
    found = crossings([*first, *second])
    assert found[: len(crossings(first))] == crossings(first)
