"""How dangerous road users look by geometry and motion alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.priors import SEEN_METRES, Closing, Prior, PriorReason, gap_metres, prior_of, stands_out
from detection.detections import Detection, ZoneRef
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

CAR, PERSON, BICYCLE, LIGHT = ObjectClass.CAR, ObjectClass.PERSON, ObjectClass.BICYCLE, ObjectClass.TRAFFIC_LIGHT
LANE, CROSSING, SHOULDER = ZoneRef("1", "lane"), ZoneRef("zebra", "crossing"), ZoneRef("edge", "emergency_lane")


def see(x: float, foot_y: float, object_class: ObjectClass = CAR, *, metre_px: float = 20) -> Detection:
    """One whose middle is at `x` and whose foot is at `foot_y`, as large as it is where a metre has so many pixels."""
    height = SEEN_METRES[object_class] * metre_px
    width = {PERSON: 0.6, BICYCLE: 0.8}.get(object_class, 2.0) * metre_px
    return Detection(Box(x - width / 2, foot_y - height, x + width / 2, foot_y), object_class, 0.9)


def test_nobody_and_one_who_just_drives_look_like_nothing() -> None:
    assert prior_of([]) == Prior() == stands_out(see(100, 300))


@pytest.mark.parametrize(
    ("seen", "reason", "score"),
    [
        (replace(see(100, 300), against_lane=True), PriorReason.AGAINST_LANE, 0.95),
        (replace(see(100, 300), zones=(SHOULDER,)), PriorReason.ON_EMERGENCY_LANE, 0.7),
        (replace(see(100, 300, PERSON), zones=(SHOULDER,)), PriorReason.ON_EMERGENCY_LANE, 0.7),
        (replace(see(100, 300, PERSON), zones=(LANE,)), PriorReason.PERSON_ON_LANE, 0.7),
        (replace(see(100, 300, PERSON), zones=(LANE, CROSSING)), PriorReason.NOTHING, 0.0),
        (replace(see(100, 300), zones=(LANE,), stopped=True), PriorReason.STOPPED_IN_LANE, 0.5),
        (
            replace(see(100, 300), zones=(LANE,), speed_kmh=1.0, speed_deviation_kmh=1.0),
            PriorReason.STOPPED_IN_LANE,
            0.5,
        ),
        (replace(see(100, 300), zones=(LANE,), speed_kmh=1.0, speed_deviation_kmh=4.0), PriorReason.NOTHING, 0.0),
        (replace(see(100, 300), zones=(LANE,), stopped=True, waiting=True), PriorReason.NOTHING, 0.0),
        (
            replace(see(100, 300), zones=(LANE,), speed_kmh=1.0, speed_deviation_kmh=1.0, waiting=True),
            PriorReason.NOTHING,
            0.0,
        ),
        (replace(see(100, 300), zones=(SHOULDER,), stopped=True, waiting=True), PriorReason.ON_EMERGENCY_LANE, 0.7),
        (replace(see(100, 300), zones=(LANE,)), PriorReason.NOTHING, 0.0),
        (replace(see(100, 300), stopped=True), PriorReason.NOTHING, 0.0),
    ],
)
def test_one_alone_stands_out_by_what_it_does(seen: Detection, reason: PriorReason, score: float) -> None:
    prior = stands_out(seen)
    assert (prior.reason, round(prior.score, 9)) == (reason, score)
    assert prior.places == ((0,) if score else ())


def test_vehicle_beside_a_person_looks_dangerous_and_one_far_away_does_not() -> None:
    touching, near, far = (prior_of([see(100, 300), see(100 + x, 300, PERSON)]) for x in (10, 66, 200))
    assert (touching.reason, touching.places, round(touching.score, 2)) == (PriorReason.NEAR_PERSON, (0, 1), 0.85)
    assert 0.3 < near.score < 0.4
    assert far.score < 0.1


def test_what_is_behind_is_farther_away_than_it_seems() -> None:
    car = see(100, 300)
    beside, behind = see(170, 300, PERSON), see(100, 230, PERSON)
    assert gap_metres(car, behind) > 1.5 * gap_metres(car, beside)


def test_two_on_foot_and_signs_are_no_danger_to_each_other() -> None:
    light = Detection(Box(100, 250, 110, 280), LIGHT, 0.9)
    assert prior_of([see(100, 300, PERSON), see(110, 300, PERSON)]).score == 0
    assert prior_of([see(100, 300), light], Closing(50, 1)).score == 0


def test_person_on_a_bicycle_is_less_remarkable_than_one_beside_a_car() -> None:
    riding = prior_of([see(100, 300, BICYCLE), see(100, 295, PERSON)])
    assert riding.score < prior_of([see(100, 300), see(100, 295, PERSON)]).score


@pytest.mark.parametrize(
    ("closing", "reason"),
    [
        (Closing(60, 6), PriorReason.CLOSING),
        (Closing(20, 20), PriorReason.NEAR_VEHICLE),
        (Closing(5, 1), PriorReason.NEAR_VEHICLE),
    ],
)
def test_closing_speed_counts_by_the_time_that_is_left(closing: Closing, reason: PriorReason) -> None:
    pair = [see(100, 300), see(240, 300)]
    prior = prior_of(pair, closing)
    assert prior.reason == reason
    assert (prior.score > 0.8) == (reason is PriorReason.CLOSING)
    assert prior.places == (0, 1)


def test_queue_is_less_remarkable_than_one_who_stands_in_the_way_of_others() -> None:
    standing = [replace(see(x, 300), zones=(LANE,), stopped=True) for x in (100, 200)]
    driving = replace(see(300, 300), zones=(LANE,))
    queue, way = prior_of([*standing, driving]), prior_of([standing[0], driving])
    assert queue.score < 0.25
    assert (way.reason, way.places) == (PriorReason.STOPPED_IN_LANE, (0,))


def test_many_vehicles_are_more_remarkable_than_few() -> None:
    row = [see(100 + 400 * number, 300) for number in range(12)]
    assert prior_of(row[:3]).reason is PriorReason.NEAR_VEHICLE
    assert prior_of(row).reason is PriorReason.MANY
    assert prior_of(row).score == pytest.approx(0.2, abs=0.02)


users = st.builds(
    lambda x, y, kind, against, zones, stopped: replace(
        see(x, y, kind), against_lane=against, zones=zones, stopped=stopped
    ),
    st.integers(0, 1000),
    st.integers(100, 700),
    st.sampled_from([CAR, PERSON, BICYCLE, ObjectClass.BUS, ObjectClass.MOTORCYCLE]),
    st.booleans(),
    st.sampled_from([(), (LANE,), (SHOULDER,), (LANE, CROSSING)]),
    st.booleans(),
)
closings = st.none() | st.builds(Closing, st.floats(0, 300), st.floats(0, 100))


@given(st.lists(users, max_size=6), closings)
def test_score_is_a_share_and_only_those_looked_at_are_its_cause(
    members: list[Detection], closing: Closing | None
) -> None:
    prior = prior_of(members, closing)
    assert 0 <= prior.score < 1
    assert (prior.score > 0) == bool(prior.places) == (prior.reason is not PriorReason.NOTHING)
    assert set(prior.places) <= set(range(len(members)))


@given(st.lists(users, min_size=1, max_size=5), closings, st.floats(0.3, 3))
def test_score_does_not_depend_on_order_or_resolution(
    members: list[Detection], closing: Closing | None, scale: float
) -> None:
    score = prior_of(members, closing).score
    assert prior_of(members[::-1], closing).score == pytest.approx(score)
    resized = [replace(each, box=each.box.scaled(scale, scale)) for each in members]
    assert prior_of(resized, closing).score == pytest.approx(score, abs=1e-6)


@given(st.lists(users, min_size=2, max_size=5), st.floats(0, 200), st.floats(0, 50), st.floats(0, 100))
def test_faster_approach_never_lowers_the_score(
    members: list[Detection], kmh: float, deviation: float, more: float
) -> None:
    slow, fast = (prior_of(members, Closing(speed, deviation)).score for speed in (kmh, kmh + more))
    assert fast >= slow >= prior_of(members).score
