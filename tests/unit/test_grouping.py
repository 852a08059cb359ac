from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.configuration import GroupingConfiguration
from detection.detections import Detection, TrafficGroup
from detection.grouping import form_groups
from trafficmon.core.geometry import Box, distance, union_box
from trafficmon.core.objects import ROAD_USERS, ObjectClass

WIDTH, HEIGHT = 640, 480


def at(
    x: float, y: float, object_class: ObjectClass = ObjectClass.CAR, *, size: float = 10, confidence: float = 0.5
) -> Detection:
    return Detection(Box(x - size / 2, y - size / 2, x + size / 2, y + size / 2), object_class, confidence)


def grouped(*detections: Detection, **settings: float | bool) -> tuple[TrafficGroup, ...]:
    configuration = GroupingConfiguration.model_validate(settings)
    return form_groups(detections, width=WIDTH, height=HEIGHT, configuration=configuration)


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    x1, y1 = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
    box = Box(x1, y1, draw(st.integers(x1 + 1, WIDTH)), draw(st.integers(y1 + 1, HEIGHT)))
    return Detection(box, draw(st.sampled_from(ObjectClass)), draw(st.floats(0.01, 1.0)))


frames = st.lists(detections(), max_size=25)
settings = st.builds(
    GroupingConfiguration,
    distance_threshold=st.floats(1, 400),
    min_group_size=st.integers(2, 4),
    crop_margin=st.floats(0, 50),
)


def reference_components(found: list[Detection], reach: float) -> set[frozenset[int]]:
    """Components by merging any two sets that hold linked members until nothing changes."""
    sets = [{index} for index, each in enumerate(found) if each.object_class in ROAD_USERS]
    merged = True
    while merged:
        merged = False
        for one, other in combinations(sets, 2):
            if any(distance(found[a].box.centre, found[b].box.centre) <= reach for a in one for b in other):
                sets.remove(other)
                one.update(other)
                merged = True
                break
    return {frozenset(each) for each in sets}


@given(frames, settings)
def test_groups_are_the_connected_components_that_are_large_enough(
    found: list[Detection], configuration: GroupingConfiguration
) -> None:
    groups = form_groups(found, width=WIDTH, height=HEIGHT, configuration=configuration)
    components = reference_components(found, configuration.distance_threshold)
    assert {frozenset(group.members) for group in groups} == {
        each for each in components if len(each) >= configuration.min_group_size
    }


@given(frames, settings)
def test_groups_are_disjoint_ordered_and_numbered_from_one(
    found: list[Detection], configuration: GroupingConfiguration
) -> None:
    groups = form_groups(found, width=WIDTH, height=HEIGHT, configuration=configuration)
    members = [index for group in groups for index in group.members]
    assert len(members) == len(set(members))
    assert [group.index for group in groups] == list(range(1, len(groups) + 1))
    assert [group.members for group in groups] == sorted(tuple(sorted(group.members)) for group in groups)


@given(frames, settings, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_detections(
    found: list[Detection], configuration: GroupingConfiguration, chance: Random
) -> None:
    order = list(range(len(found)))
    chance.shuffle(order)
    shuffled = form_groups([found[index] for index in order], width=WIDTH, height=HEIGHT, configuration=configuration)
    plain = form_groups(found, width=WIDTH, height=HEIGHT, configuration=configuration)
    assert {frozenset(order[index] for index in group.members) for group in shuffled} == {
        frozenset(group.members) for group in plain
    }


@given(frames, settings)
def test_group_box_crop_classes_and_confidence_are_those_of_its_members(
    found: list[Detection], configuration: GroupingConfiguration
) -> None:
    for group in form_groups(found, width=WIDTH, height=HEIGHT, configuration=configuration):
        members = [found[index] for index in group.members]
        assert group.box == union_box(each.box for each in members)
        assert group.crop == group.box.grown(configuration.crop_margin).clipped(WIDTH, HEIGHT)
        assert group.crop.x1 >= 0
        assert group.crop.y1 >= 0
        assert group.crop.x2 <= WIDTH
        assert group.crop.y2 <= HEIGHT
        assert set(group.classes) == {each.object_class for each in members}
        assert len(group.classes) == len(set(group.classes))
        assert math.isclose(group.average_confidence, math.fsum(each.confidence for each in members) / len(members))
        assert set(group.classes) <= ROAD_USERS


@pytest.mark.parametrize(("gap", "expected"), [(149.9, 1), (150.0, 1), (150.1, 0)])
def test_link_reaches_exactly_the_distance_threshold(gap: float, expected: int) -> None:
    assert len(grouped(at(100, 100), at(100 + gap, 100))) == expected


def test_chain_of_links_is_one_group() -> None:
    (group,) = grouped(at(100, 100), at(400, 100), at(250, 100))
    assert group.members == (0, 1, 2)


@pytest.mark.parametrize("still", [ObjectClass.TRAFFIC_LIGHT, ObjectClass.STOP_SIGN])
def test_lights_and_signs_neither_join_nor_link(still: ObjectClass) -> None:
    assert grouped(at(100, 100), at(240, 100, still), at(380, 100)) == ()


def test_members_are_indices_into_all_detections() -> None:
    (group,) = grouped(at(10, 10, ObjectClass.STOP_SIGN), at(100, 100), at(600, 400), at(150, 100, ObjectClass.PERSON))
    assert group.members == (1, 3)
    assert group.classes == (ObjectClass.CAR, ObjectClass.PERSON)


def test_smaller_than_the_least_size_is_no_group() -> None:
    assert grouped(at(100, 100), at(150, 100), min_group_size=3) == ()


def test_switched_off_grouping_forms_none() -> None:
    assert grouped(at(100, 100), at(150, 100), enable_groups=False) == ()


def test_empty_frame_has_no_groups() -> None:
    assert grouped() == ()


def test_parked_vehicles_neither_join_nor_link() -> None:
    parked = replace(at(240, 100), parked=True)
    assert grouped(at(100, 100), parked, at(380, 100)) == ()
    assert grouped(parked, at(250, 100, ObjectClass.PERSON)) == ()
