"""What is known of road users over time: zones, standing, parking, crossings; through the tracker, as in the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.configuration import TrackingConfiguration
from detection.counting import LineRule
from detection.detections import Crossing, Detection, Direction, ZoneRef
from detection.history import ParkedPlace
from detection.observing import CameraRules, Scene, observe
from detection.standing import Stand
from detection.tracking import track
from detection.tracks import Shift, TrackerState, shifted, tracks_from_bytes
from detection.zones import ZoneRule
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZE = (1000, 500)
LEFT_HALF = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
GATE = LineRule(7, "gate", (0.5, 1.0), (0.5, 0.0))
"""Points up in the middle: forward is to the right."""
SPARSE = 1.8
"""Seconds between frames, as cameras are sampled unless something else is said."""
Frame = tuple[float, Sequence[Detection]]


def car(x: float, y: float = 100, *, kind: ObjectClass = ObjectClass.CAR) -> Detection:
    """60 x 40 px, its left upper corner at x, y."""
    return Detection(Box(x, y, x + 60, y + 40), kind, 0.9)


def watch(
    frames: Iterable[Frame], rules: CameraRules | None = None, *, min_hits: int = 1
) -> tuple[list[tuple[Detection, ...]], list[Crossing]]:
    """What is seen in each frame (seconds after noon, detections), and all crossings; state is kept as in the fleet."""
    state, seen, crossings = TrackerState(), [], list[Crossing]()
    for seconds, detections in frames:
        at = NOON + timedelta(seconds=seconds)
        state, named = track(state, detections, at=at, configuration=TrackingConfiguration(min_hits=min_hits))
        state, described, crossed = observe(state, named, Scene(at, SIZE, rules or CameraRules(), 60.0))
        state = tracks_from_bytes(state.to_bytes())
        seen.append(described)
        crossings += crossed
    return seen, crossings


def zone(kind: str, **fields: object) -> CameraRules:
    return CameraRules(zones=(ZoneRule("left", kind, LEFT_HALF, **fields),))  # type: ignore[arg-type]  # as given


def standing(until: float, *, step: float = SPARSE, x: float = 200) -> list[Frame]:
    return [(step * number, [car(x)]) for number in range(round(until / step) + 1)]


def first(seen: list[tuple[Detection, ...]], frames: Sequence[Frame], what: str) -> float | None:
    """Seconds after noon at which the first road user of a frame first shows `what`."""
    moments = (at for (at, _), found in zip(frames, seen, strict=True) if found and getattr(found[0], what))
    return next(moments, None)


LEFT = (ZoneRef("left", "crossing"),)


def test_zone_without_a_least_stay_is_told_at_once_with_and_without_an_identity() -> None:
    seen, _ = watch([(0, [car(200), car(700)])], zone("crossing"))
    assert [each.zones for each in seen[0]] == [LEFT, ()]
    seen, _ = watch([(0, [car(200)])], zone("crossing"), min_hits=3)
    assert [each.zones for each in seen[0]] == [LEFT]


@pytest.mark.parametrize("kind", ["include", "ignore"])
def test_masks_are_no_places_to_stand_in(kind: str) -> None:
    seen, _ = watch([(0, [car(200)])], zone(kind))
    assert seen[0][0].zones == ()


def test_zone_with_a_least_stay_is_told_once_it_is_over() -> None:
    frames = standing(12)
    seen, _ = watch(frames, zone("crossing", minimum_seconds=5))
    assert first(seen, frames, "zones") == pytest.approx(5.4)


def test_least_stay_is_never_reached_without_an_identity() -> None:
    frames = [(SPARSE * number, [car(100 * number)]) for number in range(5)]
    seen, _ = watch(frames, zone("crossing", minimum_seconds=1))
    assert first(seen, frames, "zones") is None


def test_short_miss_does_not_start_the_stay_anew() -> None:
    frames = [(at, [] if 2 < at < 5 else found) for at, found in standing(12)]
    seen, _ = watch(frames, zone("crossing", minimum_seconds=5))
    assert first(seen, frames, "zones") == pytest.approx(5.4)


def test_leaving_starts_the_stay_anew_but_jitter_on_the_edge_does_not() -> None:
    rules = zone("crossing", minimum_seconds=0.95)
    on_the_edge = [(0.1 * number, [car(470 + 3 * (-1) ** number)]) for number in range(12)]
    seen, _ = watch(on_the_edge, rules)
    assert first(seen, on_the_edge, "zones") == pytest.approx(1.1)
    out_and_in = [(0.1 * number, [car(480 if number == 5 else 460)]) for number in range(12)]
    seen, _ = watch(out_and_in, rules)
    assert first(seen, out_and_in, "zones") is None


def test_zone_of_other_classes_is_not_told() -> None:
    people = zone("crossing", classes=frozenset({ObjectClass.PERSON}))
    seen, _ = watch([(0, [car(200), car(300, kind=ObjectClass.PERSON)])], people)
    assert [each.zones for each in seen[0]] == [(), LEFT]


@pytest.mark.parametrize(
    ("kind", "seconds"), [(None, 61.2), ("parking", 10.8), ("lane", None), ("crossing", None), ("emergency_lane", None)]
)
def test_vehicle_that_stands_is_parked_after_its_time(kind: str | None, seconds: float | None) -> None:
    frames = standing(120)
    seen, _ = watch(frames, zone(kind) if kind else None)
    assert first(seen, frames, "parked") == (pytest.approx(seconds) if seconds else None)


def test_parked_vehicle_counts_again_as_soon_as_it_moves() -> None:
    frames = [*standing(70, step=0.1), *((70 + 0.1 * number, [car(200 + 8 * number)]) for number in range(1, 20))]
    seen, _ = watch(frames)
    again = next(at for (at, _), found in zip(frames, seen, strict=True) if at > 70 and not found[0].parked)
    assert again - 70 == pytest.approx(0.3)
    assert not any(found[0].parked for (at, _), found in zip(frames, seen, strict=True) if at > again)


def test_person_beside_a_parked_car_is_not_parked() -> None:
    frames = [(at, [*found, car(270, kind=ObjectClass.PERSON)]) for at, found in standing(120)]
    seen, _ = watch(frames)
    assert [each.parked for each in seen[-1]] == [True, False]


def test_minute_of_standing_survives_every_fourth_sample_missed() -> None:
    missed = [(at, [] if number % 4 == 3 else found) for number, (at, found) in enumerate(standing(70))]
    seen, _ = watch(missed, min_hits=3)
    assert first(seen, missed, "parked") == pytest.approx(64.8)


def parked_again(hidden_seconds: float, x: float = 200, kind: ObjectClass = ObjectClass.CAR) -> list[bool]:
    """Whether what is seen at `x` is parked, in three samples after a parked car at 200 was hidden for so long."""
    again = [(65 + hidden_seconds + SPARSE * number, [car(x, kind=kind)]) for number in range(3)]
    seen, _ = watch([*standing(65), *again], min_hits=3)
    return [found[0].parked for found in seen[-3:]]


def test_parked_vehicle_hidden_for_half_a_minute_is_parked_still_though_its_identity_is_not_known() -> None:
    assert parked_again(28) == [True, True, True]
    assert parked_again(32) == [False, False, False]


@pytest.mark.parametrize(("x", "kind"), [(212, ObjectClass.CAR), (200, ObjectClass.PERSON)])
def test_what_passes_before_a_parked_vehicle_is_not_parked(x: float, kind: ObjectClass) -> None:
    assert parked_again(5, x, kind) == [False, False, False]


def test_place_that_its_vehicle_was_seen_to_leave_is_no_parked_place() -> None:
    leaving = [(70 + 0.1 * number, [car(200 + 8 * number)]) for number in range(1, 20)]
    seen, _ = watch([*standing(70, step=0.1), *leaving, (75, [car(200)])])
    assert seen[-1][0].parked is False


def test_vehicle_driving_through_a_free_parked_place_is_not_parked_where_its_identity_is_known() -> None:
    frames = [(at, [*found, car(600)]) for at, found in standing(65, step=0.1)]
    passing = [(65 + 0.1 * number, [car(600 - 20 * number)]) for number in range(1, 25)]
    seen, _ = watch([*frames, *passing])
    assert [found[0].parked for found in seen[-10:]] == [False] * 10


def test_standing_survives_the_detector_s_jitter_and_what_passes_before_it() -> None:
    """Edges of standing vehicles on a real road vary by 1 to 1.5 percent of their height from sample to sample."""
    begins, shares = [], []
    for seed in range(20):
        random = Random(seed)
        frames = []
        for number in range(90):
            found = Box(*(edge + random.gauss(0, 0.6) for edge in car(200).box.as_tuple()))
            half = replace(found, x2=230) if number > 3 and random.random() < 0.03 else found
            frames.append((SPARSE * number, [replace(car(0), box=half)] if random.random() < 0.97 else []))
        seen, _ = watch(frames, min_hits=3)
        begin = first(seen, frames, "parked") or frames[-1][0]
        later = [found[0].parked for (at, _), found in zip(frames, seen, strict=True) if found and at > begin]
        begins.append(begin)
        shares += later
    assert sorted(begins)[14] < 75
    assert sum(shares) > 0.95 * len(shares)


def test_crossing_is_counted_once_with_its_class_and_way() -> None:
    truck = [(0.1 * number, [car(300 + 20 * number, kind=ObjectClass.TRUCK)]) for number in range(20)]
    _, crossings = watch(truck, CameraRules(lines=(GATE,)))
    assert crossings == [Crossing(7, "gate", ObjectClass.TRUCK, Direction.FORWARD)]


def test_unconfirmed_road_user_is_never_counted() -> None:
    quick = [(0.1 * number, [car(440 + 30 * number)]) for number in range(3)]
    assert watch(quick, CameraRules(lines=(GATE,)), min_hits=4)[1] == []


def test_crossing_between_two_identities_is_not_guessed() -> None:
    sparse = [(SPARSE * number, [car(300 + 150 * number)]) for number in range(4)]
    assert watch(sparse, CameraRules(lines=(GATE,)))[1] == []


def test_line_counts_only_its_classes() -> None:
    buses = replace(GATE, classes=frozenset({ObjectClass.BUS}))
    way = [(0.1 * number, [car(300 + 20 * number)]) for number in range(20)]
    assert watch(way, CameraRules(lines=(buses,)))[1] == []


def test_each_line_counts_for_itself() -> None:
    second = LineRule(8, "exit", (0.6, 0.0), (0.6, 1.0))
    way = [(0.1 * number, [car(300 + 20 * number)]) for number in range(25)]
    _, crossings = watch(way, CameraRules(lines=(GATE, second)))
    assert [(each.line, each.direction) for each in crossings] == [
        ("gate", Direction.FORWARD),
        ("exit", Direction.BACKWARD),
    ]


@pytest.mark.parametrize(("direction", "against"), [(0.0, False), (180.0, True), (90.0, False), (None, False)])
def test_wrong_way_in_a_lane_is_marked(direction: float | None, against: bool) -> None:
    way = [(0.1 * number, [car(20 + 20 * number)]) for number in range(8)]
    seen, _ = watch(way, zone("lane", direction_degrees=direction))
    assert seen[-1][0].against_lane == against
    assert seen[0][0].against_lane is False


def test_other_zones_have_no_direction_to_go_against() -> None:
    way = [(0.1 * number, [car(20 + 20 * number)]) for number in range(8)]
    seen, _ = watch(way, zone("parking", direction_degrees=180.0))
    assert seen[-1][0].against_lane is False


def test_history_ends_with_its_track() -> None:
    state, _ = track(TrackerState(), [car(10)], at=NOON, configuration=TrackingConfiguration(min_hits=1))
    later = NOON + timedelta(seconds=11)
    state, _, _ = observe(state, (replace(car(10), track_id=1),), Scene(NOON, SIZE, CameraRules(), 60.0))
    assert len(state.histories) == 1
    state, _ = track(state, [], at=later, configuration=TrackingConfiguration())
    assert observe(state, [], Scene(later, SIZE, CameraRules(), 60.0))[0].histories == ()


def test_history_moves_with_the_camera() -> None:
    state, named = track(TrackerState(), [car(10)], at=NOON, configuration=TrackingConfiguration(min_hits=1))
    state, _, _ = observe(state, named, Scene(NOON, SIZE, CameraRules(), 60.0))
    [history] = state.histories
    moved = shifted(replace(state, parked=(ParkedPlace(history.stand, NOON),)), Shift(2, 5, -3))
    there = Stand(Box(25, 197, 145, 277), NOON)
    assert [(each.foot, each.stand) for each in moved.histories] == [((85, 277), there)]
    assert moved.parked == (ParkedPlace(there, NOON),)


detections = st.builds(car, st.integers(0, 900), st.integers(0, 400), kind=st.sampled_from(ObjectClass))
sequences = st.lists(st.tuples(st.sampled_from([0.1, 0.5, 1.8]), st.lists(detections, max_size=4)), max_size=8).map(
    lambda steps: [(sum(gap for gap, _ in steps[: n + 1]), found) for n, (_, found) in enumerate(steps)]
)
DRAWN = CameraRules(
    (ZoneRule("left", "lane", LEFT_HALF, direction_degrees=0.0, minimum_seconds=1.0),), (GATE, replace(GATE, line_id=8))
)


@settings(deadline=None)
@given(sequences)
def test_observing_changes_nothing_but_what_is_known_of_conduct(frames: list[Frame]) -> None:
    bare, _ = watch(frames)
    drawn, crossings = watch(frames, DRAWN)
    plain = [
        [replace(each, zones=(), parked=False, stopped=False, waiting=False, against_lane=False) for each in found]
        for found in drawn
    ]
    assert plain == [[replace(each, parked=False) for each in found] for found in bare]
    assert len(crossings) % 2 == 0


LIGHT = replace(car(900, 10, kind=ObjectClass.TRAFFIC_LIGHT), confidence=0.8)
AHEAD = ((0.3, 0.0), (0.4, 0.0), (0.4, 1.0), (0.3, 1.0))
FAR_AHEAD = ((0.45, 0.0), (0.5, 0.0), (0.5, 1.0), (0.45, 1.0))


def waits(frames: Sequence[Frame], rules: CameraRules, *, light: Detection = LIGHT, every: int = 1) -> list[float]:
    """When the first road user is said to wait; the light is found in one frame of `every`."""
    lit = [(at, [*found, light] if number % every == 0 else found) for number, (at, found) in enumerate(frames)]
    seen, _ = watch(lit, rules)
    return [at for (at, _), found in zip(lit, seen, strict=True) if found[0].waiting]


def test_vehicle_waits_in_a_lane_where_lights_are_for_as_long_as_a_red_lasts() -> None:
    moments = waits(standing(150), zone("lane"))
    assert [moments[0], moments[-1]] == pytest.approx([1.8, 118.8])
    assert waits(standing(150), zone("lane"), every=20) == moments


@pytest.mark.parametrize("kind", ["crossing", "emergency_lane", "parking"])
def test_nobody_waits_where_nobody_may_stand_for_a_light(kind: str) -> None:
    assert waits(standing(20), zone(kind)) == []
    both = CameraRules(zones=(*zone("lane").zones, ZoneRule("over", kind, LEFT_HALF)))  # type: ignore[arg-type]
    assert (waits(standing(20), both) == []) == (kind != "parking")


def test_nobody_waits_where_no_light_is_surely_seen() -> None:
    assert waits(standing(20), zone("lane"), light=replace(LIGHT, confidence=0.4)) == []
    assert waits(standing(20), zone("lane"), light=car(900)) == []


@pytest.mark.parametrize(
    ("crossing", "direction", "waiting"),
    [(AHEAD, 0.0, True), (AHEAD, 180.0, False), (FAR_AHEAD, 0.0, False), (FAR_AHEAD, None, True)],
    ids=["before it", "it lies behind", "far from it", "the lane's direction is not known"],
)
def test_where_crossings_are_drawn_only_the_first_before_one_waits(
    crossing: tuple[tuple[float, float], ...], direction: float | None, waiting: bool
) -> None:
    lane = zone("lane", direction_degrees=direction)
    rules = CameraRules(zones=(*lane.zones, ZoneRule("zebra", "crossing", crossing)))
    assert bool(waits(standing(20), rules)) == waiting


@pytest.mark.parametrize(("kind", "seconds"), [(None, None), ("parking", None), ("lane", 5.4), ("emergency_lane", 5.4)])
def test_vehicle_has_stopped_where_it_stands_some_seconds_and_is_never_parked(
    kind: str | None, seconds: float | None
) -> None:
    frames = standing(20)
    seen, _ = watch(frames, zone(kind) if kind else None)
    assert first(seen, frames, "stopped") == (pytest.approx(seconds) if seconds else None)
    on_foot = [(at, [replace(each, object_class=ObjectClass.PERSON) for each in found]) for at, found in frames]
    seen, _ = watch(on_foot, zone(kind) if kind else None)
    assert first(seen, on_foot, "stopped") is None
