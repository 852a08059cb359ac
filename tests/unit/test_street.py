"""The synthetic street: the same every time, lawful where it should be, dangerous exactly when its script says so."""

import math
from collections import defaultdict
from itertools import pairwise

import cv2
import numpy as np
import pytest

from cameras.street import SCENES, Incident, Street, TrueObject, UnknownScene
from cameras.street.layout import Aspect
from cameras.street.traffic import BUILDS, Vehicle
from trafficmon.core.objects import ROAD_USERS, ObjectClass

FIRST_SCRIPTED_NUMBER = 1_000_000


@pytest.fixture(scope="module")
def junction() -> Street:
    """Small, so that what is drawn costs little."""
    street = Street("junction", seed=4, width=640, height=360)
    street.advance_to(9.0)
    return street


def test_street_of_unknown_name_lists_the_names() -> None:
    with pytest.raises(UnknownScene) as caught:
        Street("nowhere")
    assert str(caught.value) == (
        "There is no street scene named 'nowhere'. Choose one of: avenue, highway, junction, night-junction."
    )


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_street_renders_its_size_for_every_scene(scene: str) -> None:
    picture = Street(scene, width=320, height=180).render()
    assert (picture.shape, picture.dtype) == ((180, 320, 3), np.dtype(np.uint8))
    assert picture.std() > 10


def test_street_is_the_same_however_a_moment_is_reached() -> None:
    at_once, in_steps = (Street("junction", seed=7, width=320, height=180) for _ in range(2))
    at_once.advance_to(12.34)
    for seconds in np.linspace(0, 12.34, 31):
        in_steps.advance_to(float(seconds))
    assert at_once.truth() == in_steps.truth()
    assert np.array_equal(at_once.render(), in_steps.render())


def test_street_differs_between_seeds() -> None:
    first, second = (Street("highway", seed=seed, width=320, height=180) for seed in (1, 2))
    assert not np.array_equal(first.render(), second.render())


def test_street_never_moves_back() -> None:
    street = Street("highway", width=320, height=180)
    street.advance_to(3.0)
    street.advance_to(1.0)
    assert street.seconds == 3.0


def test_rendering_does_not_change_the_street(junction: Street) -> None:
    before = junction.truth()
    junction.render()
    assert junction.truth() == before


def test_truth_stays_within_the_picture(junction: Street) -> None:
    truth = junction.truth()
    assert all(0 <= one.box.x1 < one.box.x2 <= 640 and 0 <= one.box.y1 < one.box.y2 <= 360 for one in truth)
    assert all(0.0 <= one.visible <= 1.0 for one in truth)


def test_truth_numbers_every_object_once(junction: Street) -> None:
    numbers = [one.track_id for one in junction.truth()]
    assert len(numbers) == len(set(numbers))


def test_truth_moves_as_fast_as_it_says() -> None:
    street = Street("avenue", seed=2, width=640, height=360)
    street.advance_to(5.0)
    before = {one.track_id: one for one in street.truth()}
    street.advance_to(5.05)
    after = {one.track_id: one for one in street.truth()}
    moving = [number for number in before.keys() & after.keys() if math.hypot(*before[number].velocity) > 0.5]
    assert len(moving) > 5
    for number in moving:
        moved = math.dist(before[number].place, after[number].place)
        assert moved / 0.05 == pytest.approx(math.hypot(*before[number].velocity), abs=0.05)


def test_ground_is_where_it_is_seen(junction: Street) -> None:
    for x, y in ((20.0, 340.0), (500.0, 200.0)):
        pixels, _depths = junction._pinhole.project(np.array([[*junction.on_ground(x, y), 0.0]]))
        assert pixels[0].tolist() == pytest.approx([x, y])
    with pytest.raises(ValueError, match="no ground"):
        junction.on_ground(320, -2000)


def test_truth_keeps_numbers_from_moment_to_moment() -> None:
    street = Street("highway", seed=3, width=320, height=180)
    before = {one.track_id: one for one in street.truth()}
    street.advance_to(0.2)
    after = {one.track_id: one for one in street.truth()}
    shared = before.keys() & after.keys()
    assert len(shared) >= len(before) - 3
    assert all(before[number].object_class is after[number].object_class for number in shared)


def test_scenes_together_show_all_eight_classes() -> None:
    seen: set[ObjectClass] = set()
    for scene in SCENES:
        street = Street(scene, seed=2, width=640, height=360)
        for seconds in (0.0, 20.0, 40.0):
            street.advance_to(seconds)
            seen |= {one.object_class for one in street.truth()}
    assert seen == set(ObjectClass)


def test_hidden_objects_are_less_visible_than_what_hides_them() -> None:
    street = Street("avenue", seed=1, width=640, height=360)
    street.advance_to(8.0)
    truth = street.truth()
    assert min(one.visible for one in truth) < 0.2
    largest = max(truth, key=lambda one: one.box.area)
    assert largest.visible > 0.5


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_first_incident_starts_between_six_and_eight_seconds(scene: str) -> None:
    for seed in range(6):
        first = Street(scene, seed=seed, width=64, height=36).incidents(60)[0]
        assert 6.0 <= first.starts_at <= 8.0


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_incidents_recur_after_ten_to_twenty_seven_seconds(scene: str) -> None:
    starts = [one.starts_at for one in Street(scene, width=64, height=36).incidents(400)]
    gaps = np.diff(starts)
    assert len(starts) >= 18
    assert 10 <= gaps.min() <= gaps.max() <= 27


def test_incidents_of_all_scenes_cover_every_kind() -> None:
    kinds = {one.kind for scene in SCENES for one in Street(scene, width=64, height=36).incidents(120)}
    assert kinds == set(Incident)


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_road_users_are_marked_exactly_during_their_incident(scene: str) -> None:
    street = Street(scene, seed=1, width=320, height=180)
    script = street.incidents(82)
    played = set()
    for half_seconds in range(164):
        now = half_seconds / 2
        street.advance_to(now)
        going_on = {one for one in script if one.starts_at <= now < one.ends_at}
        marked = {one.incident for one in street.truth() if one.incident is not None}
        assert marked <= {one.kind for one in going_on}
        played |= {one for one in going_on if one.kind in marked}
    assert played == {one for one in script if one.starts_at < 81}


def test_only_road_users_take_part_in_incidents() -> None:
    street = Street("avenue", seed=2, width=320, height=180)
    marked: list[TrueObject] = []
    for seconds in range(0, 80, 2):
        street.advance_to(seconds)
        marked += [one for one in street.truth() if one.incident is not None]
    assert marked
    assert {one.object_class for one in marked} <= ROAD_USERS


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_vehicles_never_touch(scene: str) -> None:
    street = Street(scene, seed=5, width=64, height=36)
    for seconds in np.arange(0, 80, 0.5):
        street.advance_to(float(seconds))
        assert _touching(street) == []


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_lawful_drivers_keep_their_distance(scene: str) -> None:
    """A second's way behind the one ahead, less what braking in a queue takes of it."""
    street = Street(scene, seed=3, width=64, height=36)
    shortest = math.inf
    for seconds in np.arange(0, 80, 0.5):
        street.advance_to(float(seconds))
        for gap, follower in _gaps(street):
            if follower.speed > 5 and follower.number < FIRST_SCRIPTED_NUMBER:
                shortest = min(shortest, gap / follower.speed)
    assert shortest > 0.45


def test_scripted_follower_is_closer_than_half_a_second() -> None:
    street = Street("highway", seed=0, width=64, height=36)
    incident = next(one for one in street.incidents(60) if one.kind is Incident.FOLLOWING_TOO_CLOSELY)
    street.advance_to((incident.starts_at + incident.ends_at) / 2)
    (headway,) = [gap / one.speed for gap, one in _gaps(street) if one.number >= FIRST_SCRIPTED_NUMBER and gap < 20]
    assert headway < 0.5


@pytest.mark.parametrize("scene", ["junction", "night-junction", "avenue"])
def test_signals_are_obeyed_by_all_but_those_who_run_them(scene: str) -> None:
    street = Street(scene, seed=6, width=64, height=36)
    plan, lanes, lengths = SCENES[scene].plan, street.traffic.network.lanes, street.traffic.network.lengths
    before_line: dict[int, str] = {}
    crossed: defaultdict[Aspect, set[int]] = defaultdict(set)
    for seconds in np.arange(0, 120, 0.2):
        street.advance_to(float(seconds))
        for one in street.traffic.vehicles:
            signal = lanes[one.lane].signal
            behind = signal is not None and one.metres + one.length / 2 < lengths[one.lane] + 0.9
            if signal is not None and behind:
                before_line[one.number] = signal
            elif one.number in before_line:
                crossed[plan.aspect(before_line.pop(one.number), float(seconds) - 0.2)].add(one.number)
    assert len(crossed[Aspect.GREEN]) > 20
    assert {number for number in crossed[Aspect.RED] if number < FIRST_SCRIPTED_NUMBER} == set()
    assert {number for number in crossed[Aspect.RED] if number >= FIRST_SCRIPTED_NUMBER} != set()


@pytest.mark.parametrize("scene", ["junction", "avenue"])
def test_people_start_to_cross_only_on_green(scene: str) -> None:
    street = Street(scene, seed=2, width=64, height=36)
    plan = SCENES[scene].plan
    crossing: set[int] = set()
    started = 0
    for seconds in np.arange(0, 80, 0.2):
        street.advance_to(float(seconds))
        now_crossing = {one.number for one in street.walkers.walkers if street.walkers.is_crossing(one)}
        for number in now_crossing - crossing:
            if number < FIRST_SCRIPTED_NUMBER and seconds > 1:
                started += 1
                assert (
                    plan.aspect("walk", float(seconds) - 1.9) is not Aspect.RED or plan.green_left("walk", seconds) > 0
                )
        crossing = now_crossing
    assert started > 10


def _rectangle(street: Street, one: Vehicle) -> tuple[tuple[float, float], tuple[float, float], float]:
    x, y, heading = street.traffic.network.paths[one.lane].at(one.metres, one.offset)
    build = BUILDS[one.object_class]
    return (x, y), (build.length - 0.1, build.width - 0.1), math.degrees(heading)


def _touching(street: Street) -> list[tuple[str, str]]:
    placed = [(one, _rectangle(street, one)) for one in street.traffic.vehicles]
    return [
        (a.lane, b.lane)
        for place, (a, first) in enumerate(placed)
        for b, second in placed[:place]
        if math.dist(first[0], second[0]) < 12 and cv2.rotatedRectangleIntersection(first, second)[0] != 0
    ]


def _gaps(street: Street) -> list[tuple[float, Vehicle]]:
    """(free metres, follower) for each pair in one lane."""
    by_lane: defaultdict[str, list[Vehicle]] = defaultdict(list)
    for one in street.traffic.vehicles:
        by_lane[one.lane].append(one)
    gaps = []
    for queue in by_lane.values():
        queue.sort(key=lambda one: one.metres)
        for follower, leader in pairwise(queue):
            gaps.append((leader.metres - follower.metres - (leader.length + follower.length) / 2, follower))
    return gaps
