"""Counted against true crossings on the simulated highway, at the rates cameras are sampled with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from cameras.street import Street, TrueObject
from detection.configuration import TrackingConfiguration
from detection.counting import LineRule, signed_distance
from detection.detections import Crossing, Detection, Direction
from detection.observing import CameraRules, Scene, observe
from detection.tracking import track
from detection.tracks import TrackerState
from trafficmon.core.objects import ROAD_USERS

SIZE = (640, 360)
SECONDS = 30
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACROSS = LineRule(1, "across the road", (0.0, 0.6), (1.0, 0.6))
SHOWN = 0.3
"""Share of a road user that must be visible for a detector to find it."""


@cache
def street_at(fps: float) -> list[tuple[datetime, tuple[TrueObject, ...]]]:
    """All road users at each sampled moment, boxes in pixels."""
    street = Street("highway", seed=1, width=SIZE[0], height=SIZE[1])
    moments = []
    for number in range(round(SECONDS * fps)):
        street.advance_to(number / fps)
        users = tuple(each for each in street.truth() if each.object_class in ROAD_USERS)
        moments.append((NOON + timedelta(seconds=number / fps), users))
    return moments


def true_crossings(fps: float) -> Counter[Crossing]:
    """By the numbers that the street itself gives its road users: who was on one side and next on the other."""
    before: dict[int, Direction] = {}
    crossed: Counter[Crossing] = Counter()
    for _, users in street_at(fps):
        for each in users:
            right = signed_distance(each.box.foot, ACROSS.in_pixels(SIZE)) > 0
            side = Direction.FORWARD if right else Direction.BACKWARD
            if before.get(each.track_id, side) is not side:
                crossed[Crossing(1, ACROSS.name, each.object_class, side)] += 1
            before[each.track_id] = side
    return crossed


def counted(fps: float, line: LineRule = ACROSS) -> Counter[Crossing]:
    """By the tracker from boxes without numbers, of those that are not hidden."""
    state, crossings = TrackerState(), list[Crossing]()
    for at, users in street_at(fps):
        state, named = track(state, found(users), at=at, configuration=TrackingConfiguration())
        state, _, crossed = observe(state, named, Scene(at, SIZE, CameraRules(lines=(line,)), 60.0))
        crossings += crossed
    return Counter(crossings)


def found(users: Iterable[TrueObject]) -> list[Detection]:
    return [Detection(each.box, each.object_class, 0.9) for each in users if each.visible >= SHOWN]


@pytest.mark.parametrize(("fps", "share"), [(10, 0.95), (5, 0.7)])
def test_street_is_counted_nearly_whole_and_nobody_twice(fps: float, share: float) -> None:
    """A motorcycle behind a truck is missed; whoever is counted did cross, that way and of that class."""
    true, ours = true_crossings(fps), counted(fps)
    assert true.total() > 40
    assert ours - true == Counter()
    assert share * true.total() <= ours.total()


def test_street_sampled_every_two_seconds_is_not_counted_rather_than_guessed() -> None:
    assert true_crossings(0.5).total() > 20
    assert counted(0.5) == Counter()


def test_line_drawn_the_other_way_counts_the_other_directions() -> None:
    other = {Direction.FORWARD: Direction.BACKWARD, Direction.BACKWARD: Direction.FORWARD}
    reversed_line = LineRule(1, ACROSS.name, ACROSS.end, ACROSS.start)
    flipped = Counter(
        {Crossing(1, each.line, each.object_class, other[each.direction]): n for each, n in counted(10).items()}
    )
    assert counted(10, reversed_line) == flipped
