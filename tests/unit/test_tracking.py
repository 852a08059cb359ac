from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.configuration import TrackingConfiguration
from detection.detections import Detection
from detection.tracking import overlaps_with, track
from detection.tracks import TrackerState, TracksUnreadableError, family_of, tracks_from_bytes
from trafficmon.core.geometry import Box, intersection_over_union
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT_ONCE = TrackingConfiguration(min_hits=1)
USUAL = TrackingConfiguration()


def car(x: float, y: float = 100, *, confidence: float = 0.9, kind: ObjectClass = ObjectClass.CAR) -> Detection:
    """60 x 30 px, its left upper corner at x, y."""
    return Detection(Box(x, y, x + 60, y + 30), kind, confidence)


def follow(
    frames: Sequence[tuple[float, Sequence[Detection]]],
    configuration: TrackingConfiguration = USUAL,
    state: TrackerState | None = None,
) -> list[list[int | None]]:
    """The identities of each frame's detections; frames are (seconds after noon, detections)."""
    state = state or TrackerState()
    identities = []
    for seconds, detections in frames:
        at = NOON + timedelta(seconds=seconds)
        state, named = track(state, detections, at=at, configuration=configuration)
        identities.append([each.track_id for each in named])
    return identities


def test_identity_appears_after_the_least_number_of_hits() -> None:
    assert follow([(0.04 * n, [car(10 + n)]) for n in range(4)]) == [[None], [None], [1], [1]]


def test_moving_car_keeps_its_identity_at_any_steady_rate() -> None:
    for step in (0.02, 0.04, 0.1, 0.2):
        identities = follow([(step * n, [car(150 * step * n)]) for n in range(12)], AT_ONCE)
        assert identities == [[1]] * 12


def test_moving_car_keeps_its_identity_when_frames_come_irregularly() -> None:
    moments = [0, 0.04, 0.08, 0.2, 0.24, 0.4, 0.44, 0.6, 0.64, 0.68]
    assert follow([(at, [car(200 * at)]) for at in moments], AT_ONCE) == [[1]] * 10


def test_car_hidden_for_a_moment_is_found_where_it_was_heading() -> None:
    seen = [(0.04 * n, [car(200 * 0.04 * n)]) for n in range(20)]
    hidden = [(0.04 * n, list[Detection]()) for n in range(20, 35)]
    again = [(0.04 * n, [car(200 * 0.04 * n)]) for n in range(35, 37)]
    assert follow(seen + hidden + again, AT_ONCE)[-2:] == [[1], [1]]


def test_crossing_cars_keep_their_own_identities() -> None:
    frames = [(0.04 * n, [car(10 + 8 * n, 100), car(400 - 8 * n, 118)]) for n in range(50)]
    assert follow(frames, AT_ONCE) == [[1, 2]] * 50


def test_parked_car_keeps_its_identity_between_sparse_frames() -> None:
    assert follow([(1.8 * n, [car(10 + n % 2)]) for n in range(5)]) == [[None], [None], [1], [1], [1]]


def test_standing_car_keeps_its_identity_for_minutes_though_its_box_jitters() -> None:
    """By 1.5 percent of its height, as on a real road: after some frames its speed is known, and is but jitter."""
    for seed in range(20):
        random = Random(seed)
        frames = []
        for number in range(100):
            box = Box(*(edge + random.gauss(0, 0.45) for edge in car(10).box.as_tuple()))
            frames.append((1.8 * number, [replace(car(10), box=box)]))
        assert follow(frames, AT_ONCE) == [[1]] * 100


def test_moving_car_gets_no_guessed_identity_between_sparse_frames() -> None:
    assert follow([(1.8 * n, [car(40 * n)]) for n in range(5)]) == [[None]] * 5
    assert follow([(1.8 * n, [car(40 * n)]) for n in range(3)], AT_ONCE) == [[1], [2], [3]]


BURST_SECONDS = (-0.5, -0.25, 0.0)


def follow_bursts(
    moving: Sequence[float], *, count: int, configuration: TrackingConfiguration = USUAL
) -> list[list[int | None]]:
    """The identities shown after each of `count` bursts 1.8 s apart, of cars 90 px one after the other, in px/s."""
    state, identities = TrackerState(), []
    for number in range(count):
        named: tuple[Detection, ...] = ()
        for offset in BURST_SECONDS:
            seconds = 1.8 * number + offset
            cars = [car(90 * place + speed * seconds) for place, speed in enumerate(moving)]
            at = NOON + timedelta(seconds=seconds)
            state, named = track(state, cars, at=at, configuration=configuration, is_frame=offset == 0)
        identities.append([each.track_id for each in named])
    return identities


def test_identity_that_has_only_held_within_a_burst_is_not_shown() -> None:
    assert follow_bursts([60], count=4) == [[None], [None], [1], [1]]


def test_motion_seen_in_a_burst_carries_the_identity_to_the_next() -> None:
    assert follow_bursts([60, 60], count=3, configuration=TrackingConfiguration(min_hits=2))[-1] == [1, 2]


def test_identity_that_two_could_claim_after_a_gap_goes_to_neither() -> None:
    one_of_two = [(0.6, [car(0), car(14)])]
    assert follow([(0.0, [car(7)]), *one_of_two], AT_ONCE) == [[1], [2, 3]]
    assert follow([(0.0, [car(7)]), (0.04, [car(0), car(14)])], AT_ONCE)[-1].count(1) == 1


def test_next_car_in_the_place_of_one_that_was_moving_is_another() -> None:
    first = [(0.04 * n, [car(8 * n)]) for n in range(10)]
    assert follow([*first, (2.16, [car(72)])], AT_ONCE)[-1] == [2]


@pytest.mark.parametrize(
    ("kind", "known_after", "forgotten_after"), [(ObjectClass.CAR, 9, 11), (ObjectClass.BICYCLE, 3.6, 5)]
)
def test_road_user_back_after_long_absence_is_another(
    kind: ObjectClass, known_after: float, forgotten_after: float
) -> None:
    still = [car(10, kind=kind)]
    assert follow([(0, still), (known_after, still)], AT_ONCE) == [[1], [1]]
    assert follow([(0, still), (forgotten_after, still)], AT_ONCE) == [[1], [2]]


def test_car_unseen_for_more_frames_than_the_greatest_age_is_another() -> None:
    briefly = TrackingConfiguration(min_hits=1, max_age=2)
    unseen = [(0.1 * n, list[Detection]()) for n in range(1, 4)]
    assert follow([(0, [car(10)]), *unseen[:2], (0.3, [car(10)])], briefly)[-1] == [1]
    assert follow([(0, [car(10)]), *unseen, (0.4, [car(10)])], briefly)[-1] == [2]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ObjectClass.CAR, ObjectClass.TRUCK, True),
        (ObjectClass.BUS, ObjectClass.TRUCK, True),
        (ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE, True),
        (ObjectClass.PERSON, ObjectClass.CAR, False),
        (ObjectClass.PERSON, ObjectClass.BICYCLE, False),
        (ObjectClass.MOTORCYCLE, ObjectClass.CAR, False),
    ],
)
def test_identity_stays_within_a_family_of_classes(one: ObjectClass, other: ObjectClass, same: bool) -> None:
    identities = follow([(0, [car(10, kind=one)]), (0.04, [car(10, kind=other)])], AT_ONCE)
    assert (identities[0] == identities[1]) == same


@pytest.mark.parametrize("still", [ObjectClass.TRAFFIC_LIGHT, ObjectClass.STOP_SIGN])
def test_lights_and_signs_get_no_identity(still: ObjectClass) -> None:
    assert family_of(still) is None
    assert follow([(0.04 * n, [car(10, kind=still)]) for n in range(4)], AT_ONCE) == [[None]] * 4


def test_unsure_detection_continues_a_track_but_starts_none() -> None:
    unsure, sure = car(10, confidence=0.4), car(10)
    assert follow([(0, [unsure]), (0.04, [sure]), (0.08, [unsure])], AT_ONCE) == [[None], [1], [1]]


def test_sure_detection_is_matched_before_an_unsure_one() -> None:
    frames = [(0.0, [car(10)]), (0.04, [car(11, confidence=0.4), car(18)])]
    assert follow(frames, AT_ONCE) == [[1], [None, 1]]


def test_tentative_track_ends_with_its_first_miss() -> None:
    frames = [(0.0, [car(10)]), (0.04, [car(10)]), (0.08, []), (0.12, [car(10)]), (0.16, [car(10)])]
    assert follow(frames) == [[None], [None], [], [None], [None]]


def test_frame_that_is_not_newer_changes_nothing() -> None:
    state, _ = track(TrackerState(), [car(10)], at=NOON, configuration=AT_ONCE)
    for seconds in (0, -1):
        at = NOON + timedelta(seconds=seconds)
        assert track(state, [car(10)], at=at, configuration=AT_ONCE) == (state, (car(10),))


def test_switched_off_tracking_names_and_remembers_nothing() -> None:
    off = TrackingConfiguration(enabled=False, min_hits=1)
    assert track(TrackerState(), [car(10)], at=NOON, configuration=off) == (TrackerState(), (car(10),))


def test_damaged_state_is_refused() -> None:
    for kept in (b"", b"{", b'{"tracks": 3}', b'{"next_id": "x"}'):
        with pytest.raises(TracksUnreadableError):
            tracks_from_bytes(kept)


detections = st.builds(
    car,
    st.floats(0, 500),
    st.floats(0, 300),
    confidence=st.floats(0.35, 1),
    kind=st.sampled_from(ObjectClass),
)
sequences = st.lists(st.tuples(st.floats(0.02, 3.0), st.lists(detections, max_size=6)), min_size=1, max_size=8).map(
    lambda steps: [(sum(gap for gap, _ in steps[: n + 1]), found) for n, (_, found) in enumerate(steps)]
)


@given(sequences, st.integers(1, 3))
def test_no_identity_is_shared_within_a_frame_or_leaves_its_family(
    frames: list[tuple[float, list[Detection]]], min_hits: int
) -> None:
    identities = follow(frames, TrackingConfiguration(min_hits=min_hits))
    families: dict[int, object] = {}
    for (_, found), named in zip(frames, identities, strict=True):
        shown = [each for each in named if each is not None]
        assert len(shown) == len(set(shown))
        for detection, identity in zip(found, named, strict=True):
            if identity is not None:
                family = family_of(detection.object_class)
                assert families.setdefault(identity, family) == family


@given(sequences)
def test_tracking_returns_the_detections_unchanged_but_for_identity(
    frames: list[tuple[float, list[Detection]]],
) -> None:
    state = TrackerState()
    for seconds, found in frames:
        state, named = track(state, found, at=NOON + timedelta(seconds=seconds), configuration=AT_ONCE)
        assert [replace(each, track_id=None) for each in named] == found


boxes = st.tuples(*[st.integers(0, 60)] * 4).map(
    lambda ends: Box(min(ends[0], ends[2]), min(ends[1], ends[3]), max(ends[0], ends[2]), max(ends[1], ends[3]))
)


@given(boxes, st.lists(boxes, max_size=6))
def test_overlaps_are_those_of_plane_geometry(box: Box, others: list[Box]) -> None:
    corners = np.array([each.as_tuple() for each in others]).reshape(-1, 4)
    assert overlaps_with(box, corners).tolist() == pytest.approx(
        [intersection_over_union(box, each) for each in others]
    )


@given(sequences)
def test_state_survives_being_kept_between_frames(frames: list[tuple[float, list[Detection]]]) -> None:
    state = TrackerState()
    for seconds, found in frames:
        state, _ = track(state, found, at=NOON + timedelta(seconds=seconds), configuration=AT_ONCE)
        assert tracks_from_bytes(state.to_bytes()) == state


@given(sequences)
def test_new_identities_only_ever_grow(frames: list[tuple[float, list[Detection]]]) -> None:
    known: set[int] = set()
    newest = [0]
    for named in follow(frames, AT_ONCE):
        fresh = sorted({each for each in named if each is not None} - known)
        known |= set(fresh)
        newest += fresh
    assert all(earlier < later for earlier, later in pairwise(newest))
